"""What Interactive Brokers' codes mean: one table, with the source of every line.

`meaning` is what a code means for the order it is about, `on_request` what it means for an order that lives and that
we asked to be changed or cancelled: there a refusal is one of the request, and the order lives on as it was.
A code that is not here is UNKNOWN: it needs a person and never means that an order was refused.

Sources: CAMPUS = IBKR Campus, "TWS API documentation", message codes; CAPTURE = recorded traffic of a paper Gateway;
LEAN = the list of invalidating codes in QuantConnect's production adapter; ISSUE = reports in the trackers of ib_async
and ib_insync. `docs/error_codes.md` shows this table; a test keeps it so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.domain.broker_events import MessageMeaning

INFORMATION = MessageMeaning.INFORMATION
WARNING = MessageMeaning.WARNING
REFUSAL = MessageMeaning.REFUSAL
REQUEST_REFUSED = MessageMeaning.REQUEST_REFUSED
CONNECTION = MessageMeaning.CONNECTION

MESSAGE_RATE_EXCEEDED = 100
CLIENT_ID_IN_USE = 326
NO_SECURITY_DEFINITION = 200
ORDER_CANCELLED = 202
ORDER_MESSAGE = 399
OUTSIDE_HOURS_IGNORED = 2109
HISTORICAL_DATA_ERROR = 162
CONNECTIVITY_LOST = 1100
CONNECTIVITY_RESTORED_DATA_LOST = 1101
CONNECTIVITY_RESTORED = 1102
SOCKET_PORT_RESET = 1300

CONNECTIVITY_BROKEN = 2110
CONNECTIVITY_LOST_CODES = frozenset({CONNECTIVITY_LOST, CONNECTIVITY_BROKEN})
CONNECTIVITY_RESTORED_CODES = frozenset({CONNECTIVITY_RESTORED_DATA_LOST, CONNECTIVITY_RESTORED})


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeEntry:
    """One line of the table."""

    code: int
    title: str
    meaning: MessageMeaning
    source: str

    @property
    def on_request(self) -> MessageMeaning:
        """What the code means about an order that lives and that we asked to be changed or cancelled."""
        return REQUEST_REFUSED if self.meaning is REFUSAL else self.meaning


_LINES: tuple[tuple[int, MessageMeaning, str, str], ...] = (
    (100, WARNING, "Too many messages per second; the third time disconnects", "CAMPUS"),
    (101, WARNING, "Too many market data lines", "CAMPUS"),
    (102, WARNING, "Duplicate ticker id", "CAMPUS"),
    (103, REQUEST_REFUSED, "Duplicate order id: the older order is untouched, a new id is needed", "CAMPUS"),
    (104, REQUEST_REFUSED, "Can't modify a filled order", "CAMPUS"),
    (105, REQUEST_REFUSED, "The order being modified does not match the original", "CAMPUS"),
    (106, REFUSAL, "Can't transmit the order id", "CAMPUS"),
    (107, REFUSAL, "Can't transmit an incomplete order", "CAMPUS"),
    (109, REFUSAL, "Price outside the precautionary range; the order is not transmitted", "CAMPUS"),
    (110, REFUSAL, "Price is not a multiple of the tick", "CAMPUS"),
    (111, REFUSAL, "Time in force and order type do not go together", "CAMPUS"),
    (113, REFUSAL, "Market-on-close and limit-on-close orders need time in force DAY", "CAMPUS"),
    (116, REFUSAL, "The order cannot be transmitted to a dead exchange", "CAMPUS"),
    (122, REFUSAL, "No request tag was found for the order", "CAMPUS"),
    (124, REFUSAL, "No market rule is available for the contract", "CAMPUS"),
    (125, REFUSAL, "Buy price too far above the best ask", "CAMPUS"),
    (126, REFUSAL, "Sell price too far below the best bid", "CAMPUS"),
    (131, WARNING, "Sweep-to-fill and display size are ignored", "CAMPUS"),
    (132, REFUSAL, "A clearing account is needed", "CAMPUS"),
    (133, REFUSAL, "Submitting the new order failed", "CAMPUS"),
    (134, REQUEST_REFUSED, "Modify order failed", "CAMPUS"),
    (
        135,
        REQUEST_REFUSED,
        "Can't find an order with that id (a stale parent id, or never arrived)",
        "CAMPUS, ISSUE",
    ),
    (136, REQUEST_REFUSED, "This order cannot be cancelled", "CAMPUS"),
    (140, REFUSAL, "The size must be a whole number", "CAMPUS"),
    (141, REFUSAL, "The price must be a number", "CAMPUS"),
    (142, REFUSAL, "The institutional account's information is missing", "CAMPUS"),
    (144, REFUSAL, "The size does not match the total share allocation", "CAMPUS"),
    (145, REFUSAL, "A field of the order could not be validated", "CAMPUS"),
    (146, REFUSAL, "Invalid trigger method", "CAMPUS"),
    (147, REFUSAL, "The conditional contract's description is incomplete", "CAMPUS"),
    (148, REFUSAL, "The order type cannot be submitted on a condition", "CAMPUS"),
    (151, REFUSAL, "The order cannot be transmitted without a user name", "CAMPUS"),
    (152, REFUSAL, "The order cannot be hidden", "CAMPUS"),
    (154, REFUSAL, "The security is halted", "CAMPUS"),
    (157, REFUSAL, "An order is either iceberg or discretionary", "CAMPUS"),
    (158, REFUSAL, "An offset amount or percentage is needed", "CAMPUS"),
    (159, REFUSAL, "The percentage offset is out of range", "CAMPUS"),
    (160, REFUSAL, "The size cannot be zero", "CAMPUS"),
    (161, REQUEST_REFUSED, "Cancel attempted when the order is not in a cancellable state", "CAPTURE"),
    (162, WARNING, "Historical data service error", "CAMPUS"),
    (163, REFUSAL, "The price violates the percentage constraint of the order presets", "CAMPUS, LEAN"),
    (164, WARNING, "No market data to check the price's percentage against", "CAMPUS"),
    (165, WARNING, "Historical data service query message", "CAMPUS"),
    (168, REFUSAL, "The discretionary amount is not a multiple of the tick", "CAMPUS"),
    (200, REFUSAL, "No security definition has been found, or it is ambiguous", "CAPTURE"),
    (201, REFUSAL, "Order rejected", "CAMPUS"),
    (202, INFORMATION, "Order cancelled; no proof that nothing was filled", "CAPTURE"),
    (203, REFUSAL, "The security is not available or allowed for this account", "CAMPUS"),
    (300, WARNING, "No ticker with that id", "CAMPUS"),
    (303, REFUSAL, "Invalid action", "CAMPUS"),
    (309, WARNING, "Too many market depth requests", "CAMPUS"),
    (310, WARNING, "No subscribed market depth with that id", "CAMPUS"),
    (311, REFUSAL, "The origin is invalid", "CAMPUS"),
    (312, REFUSAL, "The combination's details are invalid", "CAMPUS"),
    (313, REFUSAL, "A combination leg's details are invalid", "CAMPUS"),
    (314, REFUSAL, "A combination needs its legs", "CAMPUS"),
    (315, REFUSAL, "Stock combinations are restricted to SMART routing", "CAMPUS"),
    (316, WARNING, "Market depth was halted", "CAMPUS"),
    (317, WARNING, "Market depth was reset", "CAMPUS"),
    (320, REFUSAL, "Server error when reading a request", "CAMPUS"),
    (321, REFUSAL, "Server error when validating a request (also: the API is read-only)", "CAPTURE"),
    (322, REFUSAL, "Server error when processing a request", "CAMPUS"),
    (323, REFUSAL, "Server error", "CAMPUS"),
    (325, REFUSAL, "Discretionary orders are not supported here", "CAMPUS"),
    (326, CONNECTION, "The client id is in use", "CAPTURE"),
    (327, WARNING, "Only client 0 may bind orders automatically", "CAMPUS"),
    (328, REFUSAL, "Trailing stops attach to limit or stop-limit orders only", "CAPTURE"),
    (329, REQUEST_REFUSED, "Modify failed: cannot change to the new order type", "CAMPUS"),
    (332, REFUSAL, "The account codes of the order profile are invalid", "CAMPUS"),
    (333, REFUSAL, "Invalid share allocation", "CAMPUS"),
    (334, REFUSAL, "Invalid good-till-date", "CAMPUS"),
    (336, REFUSAL, "Invalid time or time zone", "CAMPUS"),
    (337, REFUSAL, "Invalid date, time or time zone", "CAMPUS"),
    (338, REFUSAL, "Good-after-time orders are disabled on this exchange", "CAMPUS"),
    (342, REFUSAL, "Pegged orders are not supported on this exchange", "CAMPUS"),
    (343, REFUSAL, "Invalid date, time or time zone", "CAMPUS"),
    (347, REFUSAL, "Invalid short sale slot", "CAMPUS"),
    (348, REFUSAL, "The short sale slot needs a short sale", "CAMPUS"),
    (351, REFUSAL, "The regular-hours flag is not valid for this order", "CAMPUS"),
    (352, REFUSAL, "The short sale slot needs a location", "CAMPUS"),
    (353, REFUSAL, "The short sale slot admits no location", "CAMPUS"),
    (354, WARNING, "Market data is not subscribed", "CAMPUS"),
    (355, REFUSAL, "The size does not conform to the market rule", "CAMPUS"),
    (361, REFUSAL, "Invalid trigger price", "CAMPUS"),
    (362, REFUSAL, "Invalid adjusted stop price", "CAMPUS"),
    (363, REFUSAL, "Invalid adjusted stop limit price", "CAMPUS"),
    (364, REFUSAL, "Invalid adjusted trailing amount", "CAMPUS"),
    (366, WARNING, "No historical data query with that id", "CAMPUS"),
    (382, REFUSAL, "The price violates the ticks constraint of the order presets", "CAMPUS, LEAN"),
    (383, REFUSAL, "The size violates the size constraint of the order presets", "CAMPUS, LEAN"),
    (387, REFUSAL, "Order type unsupported for this exchange and security", "CAMPUS"),
    (388, REFUSAL, "The size is below the minimum", "CAMPUS"),
    (391, REFUSAL, "Invalid time or time zone", "CAMPUS"),
    (392, REFUSAL, "The contract has expired", "CAMPUS"),
    (395, REFUSAL, "Orders with OCA groups are not accepted now", "CAMPUS"),
    (396, REFUSAL, "Only market and limit orders are accepted now", "CAMPUS"),
    (397, REFUSAL, "Only market and limit orders are accepted now", "CAMPUS"),
    (398, REFUSAL, "The condition cannot be used as a trigger", "CAMPUS"),
    (399, WARNING, "Order message: the order lives", "CAPTURE"),
    (400, REFUSAL, "Algorithm order error", "CAMPUS"),
    (401, REFUSAL, "A field is too long", "CAMPUS"),
    (402, REFUSAL, "Conditions are not allowed for this contract", "CAMPUS"),
    (403, REFUSAL, "Invalid stop price", "CAMPUS"),
    (404, WARNING, "Held while shares are located for the short sale: the order lives", "CAMPUS"),
    (405, REFUSAL, "A child's size must be that of its parent", "CAMPUS, LEAN"),
    (406, REFUSAL, "The currency is not allowed", "CAMPUS"),
    (407, REFUSAL, "The symbol has invalid characters", "CAMPUS"),
    (408, REFUSAL, "Invalid increment of the scale order", "CAMPUS, LEAN"),
    (409, REFUSAL, "The scale order lacks its component size", "CAMPUS, LEAN"),
    (410, REFUSAL, "Invalid component size of the scale order", "CAMPUS, LEAN"),
    (411, REFUSAL, "The outside-hours flag is not valid for this order", "CAMPUS"),
    (412, REFUSAL, "The contract is not available for trading", "CAMPUS"),
    (413, REFUSAL, "A what-if order must be transmitted", "CAMPUS"),
    (417, REFUSAL, "Invalid initial component size of the scale order", "CAMPUS, LEAN"),
    (418, REFUSAL, "Invalid profit offset of the scale order", "CAMPUS, LEAN"),
    (419, REFUSAL, "The scale order lacks its initial component size", "CAMPUS, LEAN"),
    (420, WARNING, "Invalid real-time query", "CAMPUS"),
    (421, REFUSAL, "Invalid route", "CAMPUS, LEAN"),
    (422, REQUEST_REFUSED, "The order's account and clearing may not be changed", "CAMPUS"),
    (424, REFUSAL, "An adviser's order needs an allocation", "CAMPUS, LEAN"),
    (425, REFUSAL, "An adviser's order needs an allocation for each account", "CAMPUS"),
    (426, REFUSAL, "No account has enough shares", "CAMPUS"),
    (427, REFUSAL, "A fund's order needs a value in money", "CAMPUS, LEAN"),
    (428, REFUSAL, "A sale of a fund needs a number of shares", "CAMPUS, LEAN"),
    (429, REFUSAL, "Delta-neutral orders are for combinations only", "CAMPUS, LEAN"),
    (430, WARNING, "Fundamentals data is not available", "CAMPUS"),
    (433, REFUSAL, "Invalid restoring of the size of a scale order", "CAMPUS, LEAN"),
    (434, REFUSAL, "The size cannot be zero", "CAMPUS"),
    (435, REFUSAL, "An account must be given", "CAMPUS"),
    (436, REFUSAL, "An allocation must be given", "CAMPUS"),
    (437, REFUSAL, "Only one of outside-hours and pre-open may be set", "CAMPUS, LEAN"),
    (438, REFUSAL, "The application is locked", "CAMPUS"),
    (439, REFUSAL, "The algorithm was not found", "CAMPUS"),
    (440, REQUEST_REFUSED, "Modify failed: the algorithm cannot be changed", "CAMPUS"),
    (441, REFUSAL, "The algorithm's attributes are invalid", "CAMPUS"),
    (442, REFUSAL, "The algorithm is not allowed for this order", "CAMPUS"),
    (443, REFUSAL, "Unknown algorithm attribute", "CAMPUS"),
    (444, REQUEST_REFUSED, "The volatility combination is not acknowledged yet: changes cannot be submitted", "CAMPUS"),
    (446, REFUSAL, "The scale order lacks its profit offset", "CAMPUS, LEAN"),
    (447, REFUSAL, "The scale order lacks its price adjustment", "CAMPUS, LEAN"),
    (448, REFUSAL, "Invalid price adjustment of the scale order", "CAMPUS, LEAN"),
    (449, REFUSAL, "Unexpected price adjustment of the scale order", "CAMPUS, LEAN"),
    (451, REFUSAL, "The value exceeds the total value limit of the order presets", "ISSUE"),
    (460, REFUSAL, "No trading permission", "LEAN"),
    (481, WARNING, "The order's size was reduced: the order lives", "CAMPUS"),
    (492, WARNING, "A message about a subscription; the order lives", "ISSUE"),
    (501, CONNECTION, "Already connected", "CAMPUS"),
    (502, CONNECTION, "Couldn't connect to TWS", "CAMPUS"),
    (503, CONNECTION, "TWS is out of date", "CAMPUS"),
    (504, CONNECTION, "Not connected", "CAMPUS"),
    (505, CONNECTION, "Unknown message id", "CAMPUS"),
    (506, CONNECTION, "Unsupported version", "CAMPUS"),
    (507, CONNECTION, "Bad message length", "CAMPUS"),
    (508, CONNECTION, "Bad message", "CAMPUS"),
    (512, REFUSAL, "Sending the order failed", "CAMPUS"),
    (515, REQUEST_REFUSED, "Sending the cancel failed", "CAMPUS"),
    (1100, CONNECTION, "The Gateway has lost its connection to IB", "CAMPUS"),
    (1101, CONNECTION, "Connection to IB restored, market data lost", "CAMPUS"),
    (1102, CONNECTION, "Connection to IB restored, market data kept", "CAMPUS"),
    (1300, CONNECTION, "The socket port was reset; the connection is dropped", "CAMPUS"),
    (2100, WARNING, "Account updates were taken over by another request", "CAMPUS"),
    (2101, WARNING, "Cannot subscribe to the account: other clients have", "CAMPUS"),
    (2102, REQUEST_REFUSED, "Cannot be modified while it is still being processed: retry", "CAMPUS"),
    (2103, CONNECTION, "A market data farm is disconnected", "CAMPUS"),
    (2104, INFORMATION, "A market data farm's connection is OK", "CAPTURE"),
    (2105, CONNECTION, "A historical data farm is disconnected", "CAMPUS"),
    (2106, INFORMATION, "A historical data farm's connection is OK", "CAPTURE"),
    (2107, INFORMATION, "A historical data farm is inactive, available on demand", "CAMPUS"),
    (2108, INFORMATION, "A market data farm is inactive, available on demand", "CAPTURE"),
    (2109, WARNING, "The outside-hours flag is ignored: the order lives", "CAMPUS"),
    (CONNECTIVITY_BROKEN, CONNECTION, "Connectivity between TWS and its server is broken", "CAMPUS"),
    (2119, INFORMATION, "A market data farm is connecting", "CAMPUS"),
    (2137, WARNING, "Cross-side warning: the order turns a position round; it lives", "CAMPUS"),
    (2157, CONNECTION, "The security definition farm is disconnected", "CAPTURE"),
    (2158, INFORMATION, "The security definition farm's connection is OK", "CAPTURE"),
    (2168, INFORMATION, "The electronic-trade-only attribute is ignored", "CAMPUS"),
    (2169, INFORMATION, "The firm-quote-only attribute is ignored", "CAMPUS"),
    (10006, REFUSAL, "Missing parent order", "CAMPUS"),
    (10015, REFUSAL, "Trading is not allowed through the API", "CAMPUS"),
    (10020, REFUSAL, "The display size must be below the order's size", "CAMPUS"),
    (10052, REFUSAL, "Invalid time in force", "CAPTURE"),
    (10089, WARNING, "Market data needs a further subscription", "ISSUE"),
    (10090, WARNING, "Part of the market data is not subscribed", "CAMPUS"),
    (10147, REQUEST_REFUSED, "The order to be cancelled is not found", "CAPTURE"),
    (10148, REQUEST_REFUSED, "The order cannot be cancelled in its state", "CAMPUS"),
    (10167, WARNING, "Market data is not subscribed, delayed data is shown", "ISSUE"),
    (10168, WARNING, "Market data is not subscribed, delayed data is not enabled", "ISSUE"),
    (10186, WARNING, "Market data is not subscribed, delayed data is not enabled", "CAMPUS"),
    (10187, WARNING, "No permission for historical ticks", "CAMPUS"),
    (10197, WARNING, "No market data during a competing session", "CAMPUS"),
    (10233, INFORMATION, "Defaults were taken from an order preset: the order lives", "CAMPUS"),
    (10241, REQUEST_REFUSED, "An order in money cannot be modified through the API", "CAMPUS"),
    (10242, REQUEST_REFUSED, "A fractional order cannot be modified through the API", "CAMPUS"),
    (10243, REFUSAL, "A fractional order cannot be placed through the API", "CAMPUS"),
    (10250, REFUSAL, "The size is not a multiple of the contract's smallest step", "CAMPUS"),
    (10268, REFUSAL, "The electronic-trade-only attribute is not supported", "CAMPUS"),
    (10269, REFUSAL, "The firm-quote-only attribute is not supported", "CAMPUS"),
    (10270, REFUSAL, "The price-cap attribute is not supported", "CAMPUS"),
    (10289, REFUSAL, "A cash quantity is needed", "CAMPUS"),
    (10318, REFUSAL, "The order doesn't support fractional quantity", "CAMPUS"),
    (10324, REFUSAL, "Invalid OCA parameters for the exchange", "CAMPUS"),
    (10325, REFUSAL, "OCA groups are not supported", "CAMPUS"),
    (10326, REQUEST_REFUSED, "The OCA group may not be changed", "CAMPUS"),
    (10327, REQUEST_REFUSED, "The OCA type may not be changed", "CAMPUS"),
    (10329, WARNING, "The order is routed directly: the order lives", "CAMPUS"),
    (10340, REFUSAL, "An order attribute is not supported", "CAMPUS"),
    (10341, REQUEST_REFUSED, "The parent id may not be changed", "CAMPUS"),
    (10349, INFORMATION, "Time in force was set to DAY by an order preset: the order lives", "ISSUE"),
)

ERROR_CODES: Mapping[int, CodeEntry] = MappingProxyType(
    {code: CodeEntry(code=code, meaning=meaning, title=title, source=source) for code, meaning, title, source in _LINES}
)

# IBKR Campus lists the block as warnings: a code of it that is not in the table is one, never a refusal.
_WARNING_BLOCK = range(2100, 2200)


def meaning_of(code: int, *, request_is_pending: bool = False) -> MessageMeaning:
    """Return what `code` means for the order it is about.

    `request_is_pending`: the broker has told us of the order, and we have asked since for a change or a cancel, so that
    a refusal may be one of that request.
    """
    entry = ERROR_CODES.get(code)
    if entry is None:
        return WARNING if code in _WARNING_BLOCK else MessageMeaning.UNKNOWN
    return entry.on_request if request_is_pending else entry.meaning


def title_of(code: int) -> str:
    """Return the code's short title; "" for an unknown one."""
    entry = ERROR_CODES.get(code)
    return entry.title if entry else ""


# Codes that come with a question's id and leave the question open: its answer follows.
_NO_ANSWER_LOST = frozenset({165, 399, 2104, 2106, 2158, 10167, 10349})


def fails_question(code: int) -> bool:
    """Say whether a question whose id comes with `code` will get no answer any more."""
    return code not in _NO_ANSWER_LOST and code not in _WARNING_BLOCK
