"""Orders whose every field has a value of its own, for openOrder, completedOrder and orderStatus."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

from ib_async import Order as IbOrder

from ib_simulator.desk.orders import Order, Stage, Status
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages import open_order as layout
from ib_simulator.messages.open_order import completed_order, echoed_fields, open_order

AAPL = Instrument(265598, "AAPL", "APPLE INC", "NASDAQ", "NMS", Decimal("190"))
# Whether flag number n is set in round r: n's bit r. After so many rounds no two flags were always alike.
FLAG_ROUNDS = 5
# These choose sections of the message.
CHOSEN = {
    "hedgeType": "B",
    "deltaNeutralOrderType": "MKT",
    "scalePriceIncrement": "7.25",
    "algoStrategy": "Adaptive",
    "openClose": "C",
    "origin": "0",
    "exemptCode": "-1",
    "shortSaleSlot": "2",
    "usePriceMgmtAlgo": "1",
}
GROUPS = {
    "algoParams": [("adaptivePriority", "Patient")],
    "deltaNeutralContract": [("5001", "0.25", "6001.5")],
}
# In the message, but not an attribute of that name, or not kept by any client.
NO_ATTRIBUTE = {"comboLegsDescrip", "basisPoints", "basisPointsType"}
# Attributes that newer or older libraries have dropped or don't fill.
OPTIONAL = {"eTradeOnly", "firmQuoteOnly", "nbboPriceCap", "faProfile", "softDollarTierDisplayName", "trailStopPrice"}


def order_status_order() -> Order:
    return _order(order_id=41, perm_id=43, client_id=46, parent_id=44, quantity=Decimal(10), filled=Decimal(4))


def full_order(round_number: int, **more: Any) -> Order:
    """An order with all fields set; flags differ from round to round."""
    values: dict[str, str] = {}
    flag = 0
    for number, each in enumerate(fields(IbOrder)):
        if isinstance(each.default, bool):
            values[each.name] = str(flag >> round_number & 1)
            flag += 1
        elif isinstance(each.default, int):
            values[each.name] = str(1000 + number)
        elif isinstance(each.default, float):
            values[each.name] = f"{2000 + number}.25"
        elif isinstance(each.default, str):
            values[each.name] = f"text {number}"
    values |= {"softDollarTierName": "tier", "softDollarTierValue": "worth", "softDollarTierDisplayName": "shown"}
    return _order(
        order_id=41,
        perm_id=43,
        client_id=46,
        parent_id=44,
        parent_perm_id=47,
        quantity=Decimal(10),
        filled=Decimal(4),
        oca_group="group",
        oca_type=2,
        fields={**values, **CHOSEN},
        groups=dict(GROUPS),
        **more,
    )


def _order(**more: Any) -> Order:
    return Order(
        **{
            "sequence": 1,
            "account": "ACC",
            "instrument": AAPL,
            "exchange": "SMART",
            "action": "SELL",
            "order_type": "LMT",
            "limit_price": Decimal("150.75"),
            "stop_price": Decimal("140.5"),
            "tif": "GTC",
            "order_ref": "ref",
            "stage": Stage.WORKING,
            "cost": Decimal(170),
            "last_fill_price": Decimal("45.5"),
            **more,
        }
    )


def open_order_paths(order: Order, version: int) -> dict[str, str]:
    """Return where the fields of openOrder must come out."""
    names = [*layout._ORDER, *layout._DISPLAY, *layout._ALLOCATION, *layout._SHORT_SALE, *layout._OPEN_MIDDLE]
    names += [*layout._OPEN_DELTA_NEUTRAL, *layout._SCALE_REST, *layout._OPEN_TAIL]
    names += ["continuousUpdate", "referencePriceType", "trailStopPrice", "trailingPercent", "optOutSmartRouting"]
    names += _both()
    late = {"duration": 159, "postToAts": 160, "autoCancelParent": 162}
    names += [name for name, since in late.items() if version >= since]
    names += [*layout._PEG_TAIL] if version >= 170 else []
    paths = {"orderId": "41", "order.clientId": "46", "order.permId": "43", "orderState.status": order.status.value}
    return {**paths, **_paths(order, names)}


def completed_order_paths(order: Order, version: int) -> dict[str, str]:
    """Return where the fields of completedOrder must come out."""
    names = [*layout._ORDER, *layout._DISPLAY, *layout._ALLOCATION, *layout._SHORT_SALE, *layout._COMPLETED_MIDDLE]
    names += [*layout._COMPLETED_DELTA_NEUTRAL, *layout._SCALE_REST]
    names += ["continuousUpdate", "referencePriceType", "trailStopPrice", "trailingPercent", "lmtPriceOffset"]
    names += ["cashQty", "dontUseAutoPriceForHedge", "isOmsContainer", "autoCancelParent", *_both()]
    names += [*layout._PEG_TAIL] if version >= 170 else []
    paths = {
        "order.permId": "43",
        "order.parentPermId": "47",
        "order.filledQuantity": "4",
        "orderState.status": order.status.value,
        "orderState.completedTime": "20260107 10:00:00 US/Eastern",
        "orderState.completedStatus": "Filled Size: 4",
    }
    return {**paths, **_paths(order, names)}


def _both() -> list[str]:
    return [
        *("scaleInitLevelSize", "scaleSubsLevelSize", "scalePriceIncrement", "hedgeType", "hedgeParam"),
        *("clearingAccount", "clearingIntent", "notHeld", "algoStrategy", "solicited"),
        *("randomizeSize", "randomizePrice"),
    ]


def _paths(order: Order, names: list[str]) -> dict[str, str]:
    shown = echoed_fields(order)
    paths: dict[str, str] = {}
    for name in names:
        if name in NO_ATTRIBUTE:
            continue
        if name in {"localSymbol", "tradingClass"}:
            paths[f"contract.{name}"] = shown[name]
        elif name.startswith("softDollarTier"):
            part = {"Name": "name", "Value": "val", "DisplayName": "displayName"}[name.removeprefix("softDollarTier")]
            paths[f"order.softDollarTier.{part}"] = shown[name]
        else:
            paths[f"order.{name}"] = shown[name]
    for name in ("conId", "symbol", "secType", "exchange", "currency"):
        paths[f"contract.{name}"] = shown[name]
    paths |= {"contract.deltaNeutralContract.conId": "5001", "contract.deltaNeutralContract.price": "6001.5"}
    return paths | {"order.algoParams.tag": "adaptivePriority", "order.algoParams.value": "Patient"}


def open_order_answer(round_number: int) -> tuple[Order, Any]:
    order = full_order(round_number)
    return order, open_order(order)


def completed_order_answer(round_number: int) -> tuple[Order, Any]:
    order = full_order(round_number, final_status=Status.FILLED)
    return order, completed_order(
        order, completed_time="20260107 10:00:00 US/Eastern", completed_status="Filled Size: 4"
    )
