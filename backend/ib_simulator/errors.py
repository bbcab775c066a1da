"""Every error this package raises, split by what the caller does about it.

SimulatorError
├── ProtocolError        the byte stream cannot be understood any more: close the connection
├── MalformedMessage     one frame is wrong, the stream is intact: answer an error, go on
├── UnsupportedMessage   a known request this simulator does not serve: answer an error, go on
├── Refusal              IB would refuse this request or order: answer its code and text
├── CommandError         a command of the control port is wrong: answer `ok: false`
└── JournalError         the state directory cannot be used: tell the person who started the program
"""

NO_REQUEST_ID = -1


class SimulatorError(Exception):
    """Base of all errors raised here."""


class ProtocolError(SimulatorError):
    """The stream is not the TWS protocol, or a frame is longer than any real one."""


class MalformedMessage(SimulatorError):
    """One frame has too few fields or a field of the wrong type; `request_id` is -1 when it could not be read."""

    def __init__(self, reason: str, *, request_id: int = NO_REQUEST_ID) -> None:
        super().__init__(reason)
        self.reason = reason
        self.request_id = request_id


class UnsupportedMessage(SimulatorError):
    """A message id that is not served; the gateway answers `code` on `request_id`."""

    def __init__(self, *, code: int, text: str, request_id: int = NO_REQUEST_ID) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.request_id = request_id


class Refusal(SimulatorError):
    """What IB says instead of doing it: an error `code` and its `text`."""

    def __init__(self, *, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class CommandError(SimulatorError):
    """A control command that cannot be carried out; `code` is stable and meant for programs."""

    def __init__(self, *, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JournalError(SimulatorError):
    """The state directory cannot be read or written."""
