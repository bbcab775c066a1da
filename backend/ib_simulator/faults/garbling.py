"""Fields that arrive unreadable: which field of a message has which name, and how one is spoiled.

A field is named as the client libraries name it, or by its place in the message, 0 being the message's number.
"""

from collections.abc import Sequence

from ib_simulator.fields import Value

_CONTRACT = ("conId", "symbol", "secType", "lastTradeDateOrContractMonth", "strike", "right", "multiplier", "exchange")
_NAMED = ("currency", "localSymbol", "tradingClass")
# The names of a message's fields from the given place on, as far as they have the same place in every version.
_LAYOUTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "orderStatus": (
        1,
        (
            *("orderId", "status", "filled", "remaining", "avgFillPrice", "permId", "parentId", "lastFillPrice"),
            *("clientId", "whyHeld", "mktCapPrice"),
        ),
    ),
    "execDetails": (
        1,
        (
            *("reqId", "orderId", *_CONTRACT, *_NAMED, "execId", "time", "acctNumber", "execExchange", "side"),
            *("shares", "price", "permId", "clientId", "liquidation", "cumQty", "avgPrice", "orderRef"),
        ),
    ),
    "commissionReport": (2, ("execId", "commission", "currency", "realizedPNL", "yield", "yieldRedemptionDate")),
    "position": (2, ("account", *_CONTRACT, *_NAMED, "position", "avgCost")),
    "openOrder": (
        1,
        (
            *("orderId", *_CONTRACT, *_NAMED, "action", "totalQuantity", "orderType", "lmtPrice", "auxPrice", "tif"),
            *("ocaGroup", "account", "openClose", "origin", "orderRef", "clientId", "permId"),
        ),
    ),
    "nextValidId": (2, ("orderId",)),
    "error": (2, ("id", "errorCode", "errorString")),
}


def field_place(messages: Sequence[str], field: str) -> int | None:
    """Return where the field is in messages of these names, None where they have none of this name."""
    if field.isascii() and field.isdecimal():
        return int(field)
    places = set()
    for message in messages:
        first, names = _LAYOUTS.get(message.partition(":")[0], (0, ()))
        places.add(first + names.index(field) if field in names else None)
    return places.pop() if len(places) == 1 else None


def garbled(fields: Sequence[Value], *, place: int, text: str) -> list[Value]:
    """Return the fields with `text` at the place; a shorter message stays as it is."""
    return [text if number == place else value for number, value in enumerate(fields)]
