"""Every request as ib_async writes it at each version, through our decoder, value by value."""

import dataclasses
from typing import Any

import pytest
from ib_async import Order as IbOrder
from ib_async import SoftDollarTier, TagValue
from ib_async.client import Client
from ib_async.contract import DeltaNeutralContract

from ib_simulator.fields import decode_fields, parse_decimal
from ib_simulator.messages.ids import Request, Version
from ib_simulator.messages.place_order import PlaceOrder
from ib_simulator.messages.requests import decode
from tests.clients.tours.flatten import leaves
from tests.simulator.joined import Recorder
from tests.simulator.wire_case import VERSIONS
from tests.simulator.wire_compare import differences, same
from tests.simulator.wire_requests import CONTRACT, CONTRACT_PATHS, REQUEST_CASES, RequestCase

FLAG_ROUNDS = 5
# The first server version whose placeOrder has the field.
LATE = {
    "duration": Version.DURATION_IN_PLACE_ORDER,
    "postToAts": Version.POST_TO_ATS,
    "autoCancelParent": Version.AUTO_CANCEL_PARENT,
    "advancedErrorOverride": Version.ADVANCED_ORDER_REJECT,
    "manualOrderTime": Version.MANUAL_ORDER_TIME,
    "midOffsetAtWhole": Version.PEG_BEST_AND_MID,
    "midOffsetAtHalf": Version.PEG_BEST_AND_MID,
}
GONE = {"faProfile": Version.FA_PROFILE_GONE}
# Never in a placeOrder: told by the server only, or sections of other order types than the one tested here.
NOT_SENT = {
    *("orderId", "clientId", "permId", "filledQuantity", "refFuturesConId", "shareholder", "parentPermId"),
    *("autoCancelDate", "imbalanceOnly", "routeMarketableToBbo", "basisPoints", "basisPointsType"),
    *("referenceContractId", "isPeggedChangeAmountDecrease", "peggedChangeAmount", "referenceChangeAmount"),
    *("referenceExchangeId", "minTradeQty", "minCompeteSize", "competeAgainstBestOffset", "volatility"),
    *("conditionsIgnoreRth", "conditionsCancelOrder"),
}


def sent(version: int, call: Any) -> list[str]:
    """Return the fields of what a client of this server version writes."""
    written: list[str] = []
    api = Client(Recorder())
    api.connState = Client.CONNECTED
    api._serverVersion = version
    api.clientId = 77
    api.sendMsg = written.append
    call(api)
    [message] = written
    return decode_fields(message.encode())


def decoded(version: int, call: Any) -> dict[str, list[Any]]:
    request = decode(sent(version, call), version)
    table: dict[str, list[Any]] = {}
    for each in dataclasses.fields(request):
        for path, value in leaves(getattr(request, each.name), each.name):
            table.setdefault(path, []).append(value)
    return table


def test_every_request_has_a_case() -> None:
    assert set(Request) - {case.kind for case in REQUEST_CASES} == {Request.PLACE_ORDER}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", REQUEST_CASES, ids=lambda case: case.kind.name)
def test_every_value_arrives_where_it_belongs(case: RequestCase, version: int) -> None:
    fields = sent(version, case.send)
    assert fields[0] == str(case.kind.value)
    assert differences(case.paths, decoded(version, case.send)) == []


def full_order(round_number: int) -> IbOrder:
    """An order whose every field differs; flags differ in one of the rounds."""
    order = IbOrder()
    flag = 0
    for number, each in enumerate(dataclasses.fields(order)):
        if isinstance(each.default, bool):
            setattr(order, each.name, bool(flag >> round_number & 1))
            flag += 1
        elif isinstance(each.default, int):
            setattr(order, each.name, 1000 + number)
        elif isinstance(each.default, float):
            setattr(order, each.name, 2000.25 + number)
        elif isinstance(each.default, str):
            setattr(order, each.name, f"text {number}")
    order.orderType = "PEG MID"
    order.softDollarTier = SoftDollarTier("tier", "worth")
    order.algoParams = [TagValue("tag", "value")]
    return order


@pytest.mark.parametrize("round_number", range(FLAG_ROUNDS))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_an_order_arrives_where_it_belongs(version: int, round_number: int) -> None:
    # Given an order and a contract that use every section
    order = full_order(round_number)
    contract = dataclasses.replace(CONTRACT, deltaNeutralContract=DeltaNeutralContract(conId=5, delta=0.5, price=7.5))

    # When it is placed
    fields = sent(version, lambda api: api.placeOrder(31, contract, order))
    placed = decode(fields, version)

    # Then each field is there under its name
    assert isinstance(placed, PlaceOrder)
    assert placed.order_id == 31
    names = {each.name for each in dataclasses.fields(order) if not isinstance(getattr(order, each.name), list)}
    names -= NOT_SENT | {"softDollarTier"}
    names -= {name for name, since in LATE.items() if version < since}
    names -= {name for name, since in GONE.items() if version >= since}
    wrong = {
        name: (placed.fields.get(name), getattr(order, name))
        for name in names
        if not same(placed.fields.get(name), _as_sent(getattr(order, name)))
    }
    assert wrong == {}
    assert (placed.fields["softDollarTierName"], placed.fields["softDollarTierValue"]) == ("tier", "worth")
    assert placed.groups["algoParams"] == [("tag", "value")]
    assert [parse_decimal(text) for text in placed.groups["deltaNeutralContract"][0]] == [
        5,
        parse_decimal("0.5"),
        parse_decimal("7.5"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_fields_that_carry_rules_are_read_as_numbers(version: int) -> None:
    order = full_order(0)

    placed = decode(sent(version, lambda api: api.placeOrder(31, CONTRACT, order)), version)

    table: dict[str, list[Any]] = {}
    for path, value in leaves(placed, "placed"):
        table.setdefault(path.removeprefix("placed."), []).append(value)
    expected = {
        **CONTRACT_PATHS,
        "quantity": order.totalQuantity,
        "limit_price": order.lmtPrice,
        "aux_price": order.auxPrice,
        "order_type": "PEG MID",
        "account": order.account,
        "order_ref": order.orderRef,
        "transmit": order.transmit,
        "parent_id": order.parentId,
        "oca_group": order.ocaGroup,
        "oca_type": order.ocaType,
        "outside_rth": order.outsideRth,
        "what_if": order.whatIf,
    }
    assert differences(expected, table) == []


def _as_sent(value: object) -> object:
    return int(value) if isinstance(value, bool) else value
