"""What happens to IB's own servers: outages, farms that go down, the nightly reset, restarts, a competing session.

calm ──outage──> 1100, nothing told ──end──> 1101 (market data lost) or 1102 (kept)
calm ──nightly reset──> execution reports held, simulated stops asleep ──end──> told, awake
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from ib_simulator.desk.orders import Stage, Status
from ib_simulator.errors import Refusal
from ib_simulator.faults.faults import names_of
from ib_simulator.messages.answer import Answer, error
from ib_simulator.messages.contract_requests import ReqContractDetails
from ib_simulator.messages.ids import Request
from ib_simulator.messages.market_requests import ReqHistoricalData, ReqMktData
from ib_simulator.messages.order_requests import CancelOrder
from ib_simulator.messages.place_order import PlaceOrder
from ib_simulator.messages.request import CancelRequest, Plain, RequestMessage

if TYPE_CHECKING:
    from ib_simulator.faults.scenario import Scenario
    from ib_simulator.gateway import Gateway

LOST_TEXT = "Connectivity between IBKR and Trader Workstation has been lost."
RESTORED_TEXTS = {
    1101: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
}
PORT_RESET_TEXT = (
    "TWS socket port has been reset and this connection is being dropped. Please reconnect on the new port - {port}"
)
COMPETING_CODE, COMPETING_TEXT = 10197, "No market data during competing live session"
RESTART_SECONDS = 30

ORDER_NEWS = frozenset({"openOrder", "orderStatus", "execDetails", "commissionReport"})
EXECUTION_REPORTS = frozenset({"orderStatus", "execDetails", "commissionReport"})
# Errors that IB's servers send; all others are the Gateway's own and are told during an outage too.
SERVER_ERRORS = frozenset({"error:201", "error:202", "error:399", "error:404"})
# How the names of messages with market data begin.
MARKET_DATA = (
    *("tickPrice", "tickSize", "tickString", "tickGeneric", "tickOption", "tickByTick", "tickEFP"),
    *("realtimeBar", "historicalDataUpdate", "updateMktDepth"),
)
# Requests the Gateway answers from what it has, or that only take something back.
LOCAL_REQUESTS = frozenset({Request.REQ_CURRENT_TIME, Request.REQ_IDS, Request.REQ_MANAGED_ACCOUNTS})


class Fate(StrEnum):
    """What becomes of a message while IB's servers are not as they should be."""

    SENT = "sent"
    LOST = "lost"
    HELD = "held"


@dataclass(frozen=True)
class Farm:
    """A group of IB's data servers, and the notices about it: the state's code and text. All of them have id -1."""

    name: str
    notices: dict[str, tuple[int, str]]


FARMS = {
    "market": Farm(
        "usfarm",
        {
            "ok": (2104, "Market data farm connection is OK:{name}"),
            "broken": (2103, "Market data farm connection is broken:{name}"),
            "inactive": (2108, "Market data farm connection is inactive but should be available upon demand.{name}"),
            "connecting": (2119, "Market data farm is connecting:{name}"),
        },
    ),
    "history": Farm(
        "ushmds",
        {
            "ok": (2106, "HMDS data farm connection is OK:{name}"),
            "broken": (2105, "HMDS data farm connection is broken:{name}"),
            "inactive": (2107, "HMDS data farm connection is inactive but should be available upon demand.{name}"),
        },
    ),
    "definitions": Farm(
        "secdefnj",
        {
            "ok": (2158, "Sec-def data farm connection is OK:{name}"),
            "broken": (2157, "Sec-def data farm connection is broken:{name}"),
        },
    ),
    "server": Farm(
        "",
        {
            "ok": (1102, RESTORED_TEXTS[1102]),
            "broken": (
                2110,
                "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
            ),
        },
    ),
}


# --- what clients still hear ---------------------------------------------------------------------------------


def fate_of(answer: Answer, *, scenario: "Scenario", version: int, asked: bool) -> Fate:
    """Say what becomes of a message. `asked`: it answers a question and is not news."""
    if answer.name.startswith(MARKET_DATA):
        silent = scenario.outage or scenario.competing or "market" in scenario.farms_down
        return Fate.LOST if silent else Fate.SENT
    if asked:
        return Fate.SENT
    if scenario.outage:
        from_servers = answer.name != "error" or not SERVER_ERRORS.isdisjoint(names_of(answer, version=version))
        if not from_servers:
            return Fate.SENT
        kept = scenario.is_on("outage_news", "told_at_end") and answer.name in {*ORDER_NEWS, "error"}
        return Fate.HELD if kept else Fate.LOST
    if scenario.resetting and answer.name in EXECUTION_REPORTS:
        return Fate.HELD
    return Fate.SENT


def is_order(request: RequestMessage) -> bool:
    """Say whether a request is about an order; what it causes is news, not an answer."""
    global_cancel = isinstance(request, Plain) and request.kind is Request.REQ_GLOBAL_CANCEL
    return global_cancel or isinstance(request, PlaceOrder | CancelOrder)


def is_answered(request: RequestMessage, *, scenario: "Scenario") -> bool:
    """Say whether a request gets through. Raises Refusal 10197 for market data during a competing session."""
    if isinstance(request, ReqMktData) and scenario.competing:
        raise Refusal(code=COMPETING_CODE, text=COMPETING_TEXT)
    if isinstance(request, ReqHistoricalData) and "history" in scenario.farms_down:
        return False
    if isinstance(request, ReqContractDetails) and "definitions" in scenario.farms_down:
        return False
    if not scenario.outage:
        return True
    if is_order(request):
        return not scenario.is_on("outage_orders", "lost")
    local = isinstance(request, CancelRequest) or (isinstance(request, Plain) and request.kind in LOCAL_REQUESTS)
    return local or scenario.is_on("outage_queries", "answered")


# --- what happens --------------------------------------------------------------------------------------------


def tell_all(gateway: "Gateway", code: int, text: str) -> None:
    """Send a notice without a request id to every client."""
    for session in gateway.connected():
        session.send(error(-1, code, text))


def begin_outage(gateway: "Gateway", *, seconds: float, restored: int) -> None:
    """Lose the connection to IB's servers, for some seconds or (0) until `end_outage`."""
    gateway.scenario.outage = True
    tell_all(gateway, 1100, LOST_TEXT)
    if seconds:
        gateway.after(seconds, lambda: end_outage(gateway, restored=restored), key="outage")


def end_outage(gateway: "Gateway", *, restored: int) -> None:
    """Have it back: with 1101 every subscription of market data is gone, with 1102 they go on."""
    gateway.agenda.cancel("outage")
    if not gateway.scenario.outage:
        return
    gateway.scenario.outage = False
    if restored == 1101:
        for session in gateway.connected():
            session.subscriptions.forget_market_data()
    tell_all(gateway, restored, RESTORED_TEXTS[restored])
    _calm_again(gateway)


def change_farm(gateway: "Gateway", *, kind: str, state: str, name: str = "") -> None:
    """Change the state of a farm and tell everybody."""
    farm = FARMS[kind]
    code, text = farm.notices[state]
    if state in {"broken", "connecting"}:
        gateway.scenario.farms_down.add(kind)
    else:
        gateway.scenario.farms_down.discard(kind)
        _forget_sent_quotes(gateway)
    tell_all(gateway, code, text.format(name=name or farm.name))


def begin_reset(gateway: "Gateway", *, seconds: float) -> None:
    """Begin the nightly reset: the sockets stay, native orders work, execution reports and simulated stops wait.

    [DOC CAMPUS 2182]. It ends after `seconds`, or (0) with `end_reset`.
    """
    gateway.scenario.resetting = True
    if seconds:
        gateway.after(seconds, lambda: end_reset(gateway), key="reset")


def end_reset(gateway: "Gateway") -> None:
    """Tell what was held; stops meet the prices of now."""
    gateway.agenda.cancel("reset")
    if gateway.scenario.resetting:
        gateway.scenario.resetting = False
        _calm_again(gateway)
        gateway.desk.fills.market_moved()


def begin_competing(gateway: "Gateway", *, seconds: float) -> None:
    """The user is logged in elsewhere too: 10197 on every stream of quotes, and no market data."""
    gateway.scenario.competing = True
    for session in gateway.connected():
        for request_id in session.subscriptions.quotes:
            session.send_error(request_id=request_id, code=COMPETING_CODE, text=COMPETING_TEXT)
    if seconds:
        gateway.after(seconds, lambda: end_competing(gateway), key="competing")


def end_competing(gateway: "Gateway") -> None:
    gateway.agenda.cancel("competing")
    gateway.scenario.competing = False
    _forget_sent_quotes(gateway)


def restart(gateway: "Gateway", *, seconds: float, roll_back_ids_by: int) -> int:
    """Restart the Gateway: connections break and are refused for a while, drafts vanish, ids may be given out again.

    Returns how many connections were dropped.
    """
    dropped = drop_all(gateway)
    for order in gateway.book.drafts():
        # It existed in this Gateway only: nothing is told of it. [DOC CAMPUS 5610]
        order.stage, order.final_status = Stage.DONE, Status.CANCELLED
        gateway.book.touch(order)
    if roll_back_ids_by:
        gateway.book.roll_back_ids(roll_back_ids_by)
    if seconds:
        gateway.scenario.accepting = False
        gateway.after(seconds, lambda: _accept(gateway), key="restart")
    return dropped


def drop_all(gateway: "Gateway") -> int:
    dropped = list(gateway.sessions.values())
    for session in dropped:
        session.drop()
    return len(dropped)


def reset_port(gateway: "Gateway", *, port: int) -> int:
    """Tell everybody 1300 and drop them, as when the port is changed in the settings. Returns how many."""
    tell_all(gateway, 1300, PORT_RESET_TEXT.format(port=port))
    return drop_all(gateway)


def plan_daily_restart(gateway: "Gateway", at: str) -> None:
    """Restart every day at `hh:mm` of the Gateway's zone, or (empty) never. Raises ValueError for another text."""
    time = datetime.strptime(at, "%H:%M").time() if at else None  # noqa: DTZ007 - a time of day has no zone.
    gateway.scenario.daily_restart = time
    gateway.scenario.restart_checked_at = gateway.clock.now()


def restart_if_due(gateway: "Gateway") -> None:
    """Restart when the daily moment has come since the last look."""
    at, since = gateway.scenario.daily_restart, gateway.scenario.restart_checked_at
    if at is None or since is None:
        return
    now = gateway.clock.now()
    gateway.scenario.restart_checked_at = now
    # The moment after the last look may be that of the same day or of the next.
    local = since.astimezone(gateway.zone)
    moment = datetime.combine(local, at, gateway.zone)
    if moment <= since:
        moment = datetime.combine(local + timedelta(days=1), at, gateway.zone)
    if moment <= now:
        restart(gateway, seconds=RESTART_SECONDS, roll_back_ids_by=0)


def _accept(gateway: "Gateway") -> None:
    gateway.scenario.accepting = True


def _calm_again(gateway: "Gateway") -> None:
    for session in gateway.sessions.values():
        session.release_held()
    _forget_sent_quotes(gateway)


def _forget_sent_quotes(gateway: "Gateway") -> None:
    """What clients missed in the silence is told with the next change."""
    for session in gateway.sessions.values():
        for subscription in session.subscriptions.quotes.values():
            subscription.sent = None
