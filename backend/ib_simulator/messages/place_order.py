"""Decode placeOrder (3), the longest message of the protocol.

The layout is a list of names with conditional sections. All fields are kept as sent, because openOrder echoes most of
them; the few that carry rules are also read as numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

from ib_simulator.errors import MalformedMessage
from ib_simulator.fields import FieldReader, names, parse_decimal, parse_integer
from ib_simulator.messages.contract import CONTRACT_FIELDS, ContractQuery
from ib_simulator.messages.ids import Version
from ib_simulator.messages.request import RequestMessage

GROUPS_MAX = 100
# Fields of a condition after its type and its conjunction (`a` or `o`).
CONDITION_FIELD_COUNTS = {1: 5, 3: 2, 4: 2, 5: 3, 6: 4, 7: 4}

_HEAD = (
    *CONTRACT_FIELDS,
    *names(
        """
    secIdType secId action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose
    origin orderRef transmit parentId blockOrder sweepToFill displaySize triggerMethod outsideRth hidden
    """
    ),
)
_ALLOCATION = names("sharesAllocation discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage")
_MIDDLE = names(
    """
    modelCode shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm allOrNone minQty
    percentOffset eTradeOnly firmQuoteOnly nbboPriceCap auctionStrategy startingPrice stockRefPrice
    delta stockRangeLower stockRangeUpper overridePercentageConstraints volatility volatilityType
    deltaNeutralOrderType deltaNeutralAuxPrice
    """
)
_DELTA_NEUTRAL = names(
    """
    deltaNeutralConId deltaNeutralSettlingFirm deltaNeutralClearingAccount deltaNeutralClearingIntent
    deltaNeutralOpenClose deltaNeutralShortSale deltaNeutralShortSaleSlot deltaNeutralDesignatedLocation
    """
)
_TRAIL = names(
    """
    continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize
    scaleSubsLevelSize scalePriceIncrement
    """
)
_SCALE = names(
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
_TAIL = names(
    """
    adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice
    adjustedTrailingAmount adjustableTrailingUnit extOperator softDollarTierName softDollarTierValue
    cashQty mifid2DecisionMaker mifid2DecisionAlgo mifid2ExecutionTrader mifid2ExecutionAlgo
    dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice usePriceMgmtAlgo
    """
)
_SINCE = (
    (Version.DURATION_IN_PLACE_ORDER, "duration"),
    (Version.POST_TO_ATS, "postToAts"),
    (Version.AUTO_CANCEL_PARENT, "autoCancelParent"),
    (Version.ADVANCED_ORDER_REJECT, "advancedErrorOverride"),
    (Version.MANUAL_ORDER_TIME, "manualOrderTime"),
)

Groups = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class PlaceOrder(RequestMessage):
    """An order as sent. `fields` holds every field by IB's name, `groups` the repeated ones (legs, conditions, ...)."""

    order_id: int
    contract: ContractQuery
    action: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    aux_price: Decimal | None
    tif: str
    account: str
    order_ref: str
    transmit: bool
    parent_id: int
    oca_group: str
    oca_type: int
    outside_rth: bool
    what_if: bool
    fields: dict[str, str] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)


# What an order has as attributes of its own; openOrder shows those.
_OWN = frozenset(
    names(
        """
    conId symbol secType exchange currency localSymbol tradingClass action totalQuantity orderType lmtPrice auxPrice
    tif ocaGroup account orderRef outsideRth parentId transmit whatIf
    """
    )
)


def echoed_words(fields: Mapping[str, str]) -> Mapping[str, str]:
    """Return what openOrder echoes as it was sent: what is not empty and no attribute of the order itself.

    Orders sent alike share one mapping: a book of thousands of orders would otherwise consist of these.
    """
    return _shared(tuple((name, text) for name, text in fields.items() if text and name not in _OWN))


@lru_cache(maxsize=4096)
def _shared(words: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return MappingProxyType(dict(words))


def read_place_order(reader: FieldReader, version: int) -> PlaceOrder:
    """Decode the fields after the message number. Raises MalformedMessage for a missing field or a wrong type."""
    order_id = reader.integer()
    fields = reader.named(_HEAD)
    groups: Groups = {}
    if fields["secType"] == "BAG":
        groups["comboLegs"] = _groups(reader, size=8)
        groups["orderComboLegs"] = _groups(reader, size=1)
        groups["smartComboRoutingParams"] = _groups(reader, size=2)
    fields |= reader.named(_ALLOCATION)
    if version < Version.FA_PROFILE_GONE:
        fields |= reader.named(["faProfile"])
    fields |= reader.named(_MIDDLE)
    if fields["deltaNeutralOrderType"]:
        fields |= reader.named(_DELTA_NEUTRAL)
    fields |= reader.named(_TRAIL)
    if (parse_decimal(fields["scalePriceIncrement"]) or 0) > 0:
        fields |= reader.named(_SCALE)
    fields |= reader.named(["scaleTable", "activeStartTime", "activeStopTime", "hedgeType"])
    if fields["hedgeType"]:
        fields |= reader.named(["hedgeParam"])
    fields |= reader.named(["optOutSmartRouting", "clearingAccount", "clearingIntent", "notHeld"])
    _read_second_half(reader, version, fields, groups)
    return _order_of(order_id, fields, groups)


def _read_second_half(reader: FieldReader, version: int, fields: dict[str, str], groups: Groups) -> None:
    if reader.flag():
        groups["deltaNeutralContract"] = [reader.group(3)]
    fields |= reader.named(["algoStrategy"])
    if fields["algoStrategy"]:
        groups["algoParams"] = _groups(reader, size=2)
    fields |= reader.named(["algoId", "whatIf", "orderMiscOptions", "solicited", "randomizeSize", "randomizePrice"])
    if fields["orderType"] in {"PEG BENCH", "PEGBENCH"}:
        fields |= reader.named(_PEG_BENCH)
    groups["conditions"] = _conditions(reader)
    if groups["conditions"]:
        fields |= reader.named(["conditionsIgnoreRth", "conditionsCancelOrder"])
    fields |= reader.named(_TAIL)
    for since, name in _SINCE:
        if version >= since:
            fields |= reader.named([name])
    if version >= Version.PEG_BEST_AND_MID:
        _read_peg_fields(reader, fields)


def _read_peg_fields(reader: FieldReader, fields: dict[str, str]) -> None:
    if fields["exchange"] == "IBKRATS":
        fields |= reader.named(["minTradeQty"])
    if fields["orderType"] in {"PEG BEST", "PEGBEST"}:
        fields |= reader.named(["minCompeteSize", "competeAgainstBestOffset"])
        if fields["competeAgainstBestOffset"] in {"Infinite", "Infinity"}:
            fields |= reader.named(["midOffsetAtWhole", "midOffsetAtHalf"])
    elif fields["orderType"] in {"PEG MID", "PEGMID"}:
        fields |= reader.named(["midOffsetAtWhole", "midOffsetAtHalf"])


def _groups(reader: FieldReader, *, size: int) -> list[tuple[str, ...]]:
    return [reader.group(size) for _ in range(reader.count(most=GROUPS_MAX))]


def _conditions(reader: FieldReader) -> list[tuple[str, ...]]:
    conditions: list[tuple[str, ...]] = []
    for _ in range(reader.count(most=GROUPS_MAX)):
        kind = reader.integer()
        if kind not in CONDITION_FIELD_COUNTS:
            raise MalformedMessage(f"{kind} is not a type of condition")
        conditions.append((str(kind), *reader.group(1 + CONDITION_FIELD_COUNTS[kind])))
    return conditions


def _order_of(order_id: int, fields: dict[str, str], groups: Groups) -> PlaceOrder:
    return PlaceOrder(
        order_id=order_id,
        contract=ContractQuery.from_fields(fields).with_legs(groups.get("comboLegs", [])),
        action=fields["action"].upper(),
        quantity=parse_decimal(fields["totalQuantity"]) or Decimal(0),
        order_type=fields["orderType"].upper(),
        limit_price=parse_decimal(fields["lmtPrice"]),
        aux_price=parse_decimal(fields["auxPrice"]),
        tif=fields["tif"].upper(),
        account=fields["account"],
        order_ref=fields["orderRef"],
        transmit=_flag(fields["transmit"]),
        parent_id=parse_integer(fields["parentId"], default=0) or 0,
        oca_group=fields["ocaGroup"],
        oca_type=parse_integer(fields["ocaType"], default=0) or 0,
        outside_rth=_flag(fields["outsideRth"]),
        what_if=_flag(fields["whatIf"]),
        fields=fields,
        groups=groups,
    )


def _flag(text: str) -> bool:
    return FieldReader([text]).flag()
