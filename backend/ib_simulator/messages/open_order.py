"""Encode openOrder (5) and completedOrder (101), the two long answers.

Both are lists of names with conditional sections. Values are what the client sent, overlaid with what the server
decided, on top of what real gateways fill in by themselves (`None` as delta-neutral type, `IB` as clearing intent).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from ib_simulator.desk.orders import STOP_TYPES, TRAIL_TYPES, Order
from ib_simulator.fields import UNSET_DOUBLE, Value, names, parse_decimal, pick, to_text
from ib_simulator.messages.answer import Answer
from ib_simulator.messages.ids import Version

_CONTRACT = names("conId symbol secType lastTradeDateOrContractMonth strike right multiplier exchange currency")
_ORDER = names(
    """
    localSymbol tradingClass action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account
    openClose origin orderRef
    """
)
_DISPLAY = names("outsideRth hidden discretionaryAmt goodAfterTime")
_ALLOCATION = names("faGroup faMethod faPercentage")
_SHORT_SALE = names(
    """
    modelCode goodTillDate rule80A percentOffset settlingFirm shortSaleSlot designatedLocation
    exemptCode
    """
)
_OPEN_MIDDLE = names(
    """
    auctionStrategy startingPrice stockRefPrice delta stockRangeLower stockRangeUpper displaySize
    blockOrder sweepToFill allOrNone minQty ocaType eTradeOnly firmQuoteOnly nbboPriceCap parentId
    triggerMethod volatility volatilityType deltaNeutralOrderType deltaNeutralAuxPrice
    """
)
_COMPLETED_MIDDLE = names(
    """
    startingPrice stockRefPrice delta stockRangeLower stockRangeUpper displaySize sweepToFill allOrNone
    minQty ocaType triggerMethod volatility volatilityType deltaNeutralOrderType deltaNeutralAuxPrice
    """
)
_OPEN_DELTA_NEUTRAL = names(
    """
    deltaNeutralConId deltaNeutralSettlingFirm deltaNeutralClearingAccount deltaNeutralClearingIntent
    deltaNeutralOpenClose deltaNeutralShortSale deltaNeutralShortSaleSlot deltaNeutralDesignatedLocation
    """
)
_COMPLETED_DELTA_NEUTRAL = names(
    """
    deltaNeutralConId deltaNeutralShortSale deltaNeutralShortSaleSlot deltaNeutralDesignatedLocation
    """
)
_SCALE_REST = names(
    """
    scalePriceAdjustValue scalePriceAdjustInterval scaleProfitOffset scaleAutoReset scaleInitPosition
    scaleInitFillQty scaleRandomPercent
    """
)
_PEG_BENCH = names(
    """
    referenceContractId isPeggedChangeAmountDecrease peggedChangeAmount referenceChangeAmount
    referenceExchangeId
    """
)
_OPEN_TAIL = names(
    """
    adjustedOrderType triggerPrice trailStopPrice lmtPriceOffset adjustedStopPrice
    adjustedStopLimitPrice adjustedTrailingAmount adjustableTrailingUnit softDollarTierName
    softDollarTierValue softDollarTierDisplayName cashQty dontUseAutoPriceForHedge isOmsContainer
    discretionaryUpToLimitPrice usePriceMgmtAlgo
    """
)
_PEG_TAIL = names("minTradeQty minCompeteSize competeAgainstBestOffset midOffsetAtWhole midOffsetAtHalf")

# What gateways put where the client sent nothing, as seen in recorded text traffic.
_FILLED_IN = {
    "strike": "0",
    "right": "?",
    "lmtPrice": "0.0",
    "auxPrice": "0.0",
    "deltaNeutralOrderType": "None",
    "deltaNeutralConId": "0",
    "deltaNeutralOpenClose": "?",
    "deltaNeutralShortSale": "0",
    "deltaNeutralShortSaleSlot": "0",
    "continuousUpdate": "0",
    "clearingIntent": "IB",
    "adjustedOrderType": "None",
    "ocaType": "3",
    "volatilityType": "0",
    "referencePriceType": "0",
    "displaySize": "0",
    "usePriceMgmtAlgo": "0",
    "autoCancelParent": "0",
}


# Shown by IB for orders without margins to preview.
_NO_MARGINS = (UNSET_DOUBLE,) * 9


def open_order(order: Order, *, what_if: Sequence[Value] = ()) -> Answer:
    """The order as the server has it; `what_if` are nine margins, then commission, its bounds and the currency."""

    def fields(version: int) -> Sequence[Value]:
        shown = echoed_fields(order)
        values: list[Value] = [5, order.order_id, *pick(shown, [*_CONTRACT, *_ORDER])]
        values += [order.client_id, order.perm_id, *pick(shown, _DISPLAY)]
        values += [_allocation_text(order), *pick(shown, _ALLOCATION)]
        values += pick(shown, ["faProfile"]) if version < Version.FA_PROFILE_GONE else []
        values += pick(shown, [*_SHORT_SALE, *_OPEN_MIDDLE])
        values += pick(shown, _OPEN_DELTA_NEUTRAL) if shown["deltaNeutralOrderType"] else []
        values += pick(shown, names("continuousUpdate referencePriceType trailStopPrice trailingPercent"))
        values += pick(shown, ["basisPoints", "basisPointsType", "comboLegsDescrip"])
        values += [*_legs_scale_hedge(order, shown), *pick(shown, ["optOutSmartRouting"])]
        values += _clearing_and_algo(order, shown)
        values += [shown.get("solicited", "0"), bool(what_if), order.status.value]
        values += list(what_if) or [*_NO_MARGINS, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, ""]
        values += ["", *pick(shown, ["randomizeSize", "randomizePrice"])]
        values += [*_pegs_and_conditions(order, shown), *pick(shown, _OPEN_TAIL)]
        values += pick(shown, ["duration"]) if version >= Version.DURATION_IN_OPEN_ORDER else []
        values += pick(shown, ["postToAts"]) if version >= Version.POST_TO_ATS else []
        values += pick(shown, ["autoCancelParent"]) if version >= Version.AUTO_CANCEL_PARENT else []
        values += pick(shown, _PEG_TAIL) if version >= Version.PEG_BEST_AND_MID else []
        return values

    return Answer("openOrder", fields)


def completed_order(order: Order, *, completed_time: str, completed_status: str) -> Answer:
    """A finished order; at these versions it carries neither order id nor client id."""

    def fields(version: int) -> Sequence[Value]:
        shown = echoed_fields(order)
        values: list[Value] = [101, *pick(shown, [*_CONTRACT, *_ORDER]), order.perm_id]
        values += pick(shown, [*_DISPLAY, *_ALLOCATION])
        values += pick(shown, ["faProfile"]) if version < Version.FA_PROFILE_GONE else []
        values += pick(shown, [*_SHORT_SALE, *_COMPLETED_MIDDLE])
        values += pick(shown, _COMPLETED_DELTA_NEUTRAL) if shown["deltaNeutralOrderType"] else []
        values += pick(shown, names("continuousUpdate referencePriceType trailStopPrice trailingPercent"))
        values += [*pick(shown, ["comboLegsDescrip"]), *_legs_scale_hedge(order, shown)]
        values += _clearing_and_algo(order, shown)
        values += [shown.get("solicited", "0"), order.status.value, *pick(shown, ["randomizeSize", "randomizePrice"])]
        values += [*_pegs_and_conditions(order, shown), *pick(shown, ["trailStopPrice", "lmtPriceOffset", "cashQty"])]
        values += pick(shown, ["dontUseAutoPriceForHedge", "isOmsContainer"])
        values += ["", order.filled, 0, *pick(shown, ["autoCancelParent"]), "", False, False]
        values += [order.parent_perm_id, completed_time, completed_status]
        values += pick(shown, _PEG_TAIL) if version >= Version.PEG_BEST_AND_MID else []
        return values

    return Answer("completedOrder", fields)


def echoed_fields(order: Order) -> dict[str, str]:
    """Return IB's view of an order by field name: server's decisions over the client's words over gateway habits."""
    sent = {name: text for name, text in order.fields.items() if text}
    listed = order.instrument
    decided: dict[str, Value] = {
        "conId": listed.con_id,
        "symbol": listed.symbol,
        "secType": listed.sec_type,
        "exchange": order.exchange,
        "currency": listed.currency,
        "localSymbol": listed.local_symbol,
        "tradingClass": listed.trading_class,
        "action": order.action,
        "totalQuantity": order.quantity,
        "orderType": order.order_type,
        "lmtPrice": order.limit_price or Decimal("0.0"),
        "auxPrice": _aux_price(order) or Decimal("0.0"),
        "tif": order.tif,
        "ocaGroup": order.oca_group,
        "ocaType": order.oca_type or 3,
        "account": order.account,
        "orderRef": order.order_ref,
        "outsideRth": order.outside_rth,
        "parentId": order.parent_id,
        "trailStopPrice": _trail_stop_price(order),
    }
    if order.limit_offset is not None:
        decided["lmtPriceOffset"] = order.limit_offset
    shown = {**_FILLED_IN, **sent, **{name: to_text(value) for name, value in decided.items()}}
    if listed.legs:
        shown["comboLegsDescrip"] = ",".join(f"{leg.instrument.con_id}|{leg.signed_ratio}" for leg in listed.legs)
    if listed.expiry:
        shown |= {"lastTradeDateOrContractMonth": listed.expiry, "strike": to_text(listed.strike)}
        shown |= {"right": listed.right, "multiplier": listed.multiplier}
    if shown.get("openClose") == "O":
        shown["openClose"] = ""  # Gateways leave the default out.
    return shown


def _aux_price(order: Order) -> Decimal | None:
    # Of a trailing order the distance; where its stop is by now is in trailStopPrice.
    return order.trail_amount if order.order_type in TRAIL_TYPES else order.stop_price


def _trail_stop_price(order: Order) -> Value:
    # Gateways put a number here for every order: the stop price, or one above the limit.
    if order.order_type in STOP_TYPES:
        return order.stop_price
    return None if order.limit_price is None else order.limit_price + 1


def _allocation_text(order: Order) -> str:
    return f"{order.perm_id}.0/{order.account}/{order.quantity:f}"


def _legs_scale_hedge(order: Order, shown: Mapping[str, str]) -> list[Value]:
    values: list[Value] = []
    for name in ("comboLegs", "orderComboLegs", "smartComboRoutingParams"):
        values += _group(order, name)
    values += pick(shown, ["scaleInitLevelSize", "scaleSubsLevelSize", "scalePriceIncrement"])
    if (parse_decimal(shown.get("scalePriceIncrement", "")) or 0) > 0:
        values += pick(shown, _SCALE_REST)
    values.append(shown.get("hedgeType", ""))
    if shown.get("hedgeType"):
        values.append(shown.get("hedgeParam", ""))
    return values


def _clearing_and_algo(order: Order, shown: Mapping[str, str]) -> list[Value]:
    values: list[Value] = [*pick(shown, ["clearingAccount", "clearingIntent", "notHeld"])]
    neutral = order.groups.get("deltaNeutralContract", [])
    values.append(bool(neutral))
    for contract in neutral:
        values += contract
    values.append(shown.get("algoStrategy", ""))
    if shown.get("algoStrategy"):
        values += _group(order, "algoParams")
    return values


def _pegs_and_conditions(order: Order, shown: Mapping[str, str]) -> list[Value]:
    values: list[Value] = []
    if order.order_type in {"PEG BENCH", "PEGBENCH"}:
        values += pick(shown, _PEG_BENCH)
    values += _group(order, "conditions")
    if order.groups.get("conditions"):
        values += pick(shown, ["conditionsIgnoreRth", "conditionsCancelOrder"])
    return values


def _group(order: Order, name: str) -> list[Value]:
    rows = order.groups.get(name, [])
    return [len(rows), *(text for row in rows for text in row)]
