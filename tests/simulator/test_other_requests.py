"""Requests for what this account has no part in: each gets IB's refusal or an empty answer, never silence."""

from collections.abc import Callable
from typing import Any

import pytest
from ib_async import ScannerSubscription
from ib_async.objects import FamilyCode, WshEventData

from ib_simulator.handlers.others import ANSWERS, REFUSALS, SILENT
from ib_simulator.messages.ids import Request
from ib_simulator.messages.other_requests import KINDS
from tests.simulator.joined import AAPL, Table

VERSIONS = [157, 163, 170, 176, 178]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("ask", "request_id", "code"),
    [
        (lambda api: api.requestFA(1), 2147483647, 321),
        (lambda api: api.replaceFA(5, 1, "<xml/>"), 5, 321),
        (lambda api: api.exerciseOptions(5, AAPL, 1, 1, "DU1234567", 0), 5, 322),
        (lambda api: api.reqScannerSubscription(5, ScannerSubscription(), [], []), 5, 165),
        (lambda api: api.cancelScannerSubscription(5), 5, 365),
        (lambda api: api.reqFundamentalData(5, AAPL, "ReportSnapshot", []), 5, 430),
        (lambda api: api.reqNewsArticle(5, "BZ", "BZ$1", []), 5, 10172),
        (lambda api: api.reqHistoricalNews(5, 265598, "BZ", "", "", 10, []), 5, 10276),
        (lambda api: api.reqWshMetaData(5), 5, 10276),
        (lambda api: api.reqWshEventData(5, WshEventData(conId=265598)), 5, 10276),
        (lambda api: api.cancelWshMetaData(5), 5, 10280),
        (lambda api: api.cancelWshEventData(5), 5, 10284),
    ],
)
def test_what_is_not_subscribed_is_refused_on_its_id(
    version: int, ask: Callable[[Any], None], request_id: int, code: int
) -> None:
    client = Table().connect(version=version)

    ask(client.api)

    assert [told.arguments[:2] for told in client.read()] == [(request_id, code)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("ask", "name", "arguments"),
    [
        (lambda api: api.reqNewsProviders(), "newsProviders", ([],)),
        (lambda api: api.reqFamilyCodes(), "familyCodes", ([FamilyCode("DU1234567", "")],)),
        (lambda api: api.reqSoftDollarTiers(5), "softDollarTiers", (5, [])),
        (lambda api: api.reqUserInfo(5), "userInfo", (5, "")),
        (lambda api: api.queryDisplayGroups(5), "displayGroupList", (5, "")),
        (lambda api: api.subscribeToGroupEvents(5, 1), "displayGroupUpdated", (5, "none")),
    ],
)
def test_lists_that_are_empty_are_answered(
    version: int, ask: Callable[[Any], None], name: str, arguments: tuple[Any, ...]
) -> None:
    client = Table().connect(version=version)

    ask(client.api)

    [told] = client.read()
    assert (told.name, told.arguments) == (name, arguments)


def test_scanner_parameters_are_xml() -> None:
    client = Table().connect()

    client.api.reqScannerParameters()

    assert client.read()[0].arguments[0].startswith('<?xml version="1.0"')


def test_what_ends_or_waits_is_not_answered_and_hurts_nothing() -> None:
    client = Table().connect()
    client.api.reqNewsBulletins(True)
    client.api.cancelNewsBulletins()
    client.api.cancelFundamentalData(5)
    client.api.updateDisplayGroup(5, "265598@SMART")
    client.api.unsubscribeFromGroupEvents(5)

    client.api.reqCurrentTime()

    assert [told.name for told in client.read()] == ["currentTime"]


def test_every_kind_has_one_way_to_be_answered() -> None:
    ways = [set(REFUSALS), set(ANSWERS), set(SILENT), {Request.REQUEST_FA}]

    assert sorted(kind for way in ways for kind in way) == sorted(KINDS)


def test_a_cut_request_is_told_on_its_id_when_it_shows_one() -> None:
    client = Table().connect()

    client.raw(b"84\x00")
    client.raw(b"104\x00seven\x00")

    assert [told.arguments[:2] for told in client.read()] == [(-1, 320), (-1, 320)]
