"""What can go wrong between us and a broker.

TradingError
├── FixRequest
│   ├── OrderRefused          the broker refused the order (its code and text in details)
│   ├── UnknownSymbol         the broker has no such contract
│   ├── RequestRefused        the broker refused to answer a question (its code and text in details)
│   └── LiveAccountRefused    connected to a live account without being told to
├── RetryLater
│   ├── ConnectionRefused     nothing listens there, or it does not accept us
│   ├── ClientIdInUse         326: another program holds this client id
│   ├── NotConnected          no connection, or it is not synchronised yet
│   ├── BrokerTimeout         asked, and not answered in time: the answer is unknown, not "no"
│   └── QueueFull             more waits to be sent than we allow
└── AskPerson
    └── IncompleteAnswer      an answer arrived that cannot be complete
"""

from app.core.errors import AskPerson, FixRequest, RetryLater


class OrderRefused(FixRequest):
    """The broker refused the order. `details`: broker_code, broker_text, order_ref."""

    code = "order_refused"


class UnknownSymbol(FixRequest):
    """The broker knows no contract by that description."""

    code = "unknown_symbol"


class RequestRefused(FixRequest):
    """The broker refused to answer a question. `details`: broker_code, broker_text."""

    code = "broker_refused_request"


class LiveAccountRefused(FixRequest):
    """The account is live and live trading was not asked for, account by name."""

    code = "live_account_refused"


class ConnectionRefused(RetryLater):
    """No connection could be made. The message says what to check."""

    code = "connection_refused"


class ClientIdInUse(RetryLater):
    """Another program is connected with this client id (error 326)."""

    code = "client_id_in_use"


class NotConnected(RetryLater):
    """There is no synchronised connection to the broker now."""

    code = "broker_not_connected"


class BrokerTimeout(RetryLater):
    """The broker did not answer in time. What was asked may or may not have happened."""

    code = "broker_timeout"


class QueueFull(RetryLater):
    """The queue of messages to the broker is full; nothing was sent."""

    code = "send_queue_full"


class IncompleteAnswer(AskPerson):
    """The broker's answer contradicts itself or lacks its end."""

    code = "incomplete_answer"
