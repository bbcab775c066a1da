"""What real clients send: every request ib_async can make, in the layout of a server version, as payloads."""

import inspect
from random import Random
from typing import Any

from ib_async import ExecutionFilter, Option, Order, ScannerSubscription, Stock
from ib_async.client import Client
from ib_async.objects import WshEventData

from tests.simulator.joined import ACCOUNT, Recorder, limit, market, stop

VERSIONS = (157, 163, 166, 170, 176, 178)
NOT_REQUESTS = {"setConnectOptions", "startApi"}
PREFIXES = ("req", "cancel", "calculate", "exercise", "query", "subscribe", "unsubscribe", "update", "replace", "set")

CONTRACTS = (
    Stock("AAPL", "SMART", "USD"),
    Stock("NOPE", "SMART", "USD"),
    Option("AAPL", "20260220", 190, "C", "SMART"),
)
# An argument's usual values, by its name; one not named here is an id or a number.
VALUES: dict[str, tuple[Any, ...]] = {
    "account": (ACCOUNT, ""),
    "acctCode": (ACCOUNT, ""),
    "barSizeSetting": ("1 min", "5 secs", "1 day"),
    "barSize": (5,),
    "contract": CONTRACTS,
    "durationStr": ("1 D", "1800 S", "2 W"),
    "endDateTime": ("", "20260106 12:00:00 US/Eastern"),
    "startDateTime": ("", "20260106 12:00:00 US/Eastern"),
    "execFilter": (ExecutionFilter(), ExecutionFilter(clientId=1, symbol="AAPL", side="BUY")),
    "genericTickList": ("", "233"),
    "groupName": ("All",),
    "tags": ("NetLiquidation,BuyingPower", "$LEDGER:ALL"),
    "pattern": ("AA", ""),
    "subscription": (ScannerSubscription(),),
    "data": (WshEventData(),),
    "tickType": ("Last", "BidAsk", "MidPoint"),
    "underlyingSymbol": ("AAPL",),
    "futFopExchange": ("",),
    "underlyingSecType": ("STK",),
    "underlyingConId": (265598,),
    "whatToShow": ("TRADES", "MIDPOINT", "BID_ASK"),
    "timePeriod": ("3 days",),
    "override": (0, 1),
}
LISTS = ("Options", "options", "TagValues")
FLAGS = ("is", "use", "keep", "snapshot", "regulatory", "apiOnly", "bAuto", "subscribe", "allMsgs", "ignore", "ledger")


def requests(random: Random, *, version: int) -> list[bytes]:
    """Return every request once, in a random order, with orders among them."""
    api = Client(Recorder())
    api.connState = Client.CONNECTED
    api._serverVersion = version
    sent: list[str] = []
    api.sendMsg = sent.append
    names = [name for name in dir(api) if name.startswith(PREFIXES) and name not in NOT_REQUESTS]
    random.shuffle(names)
    for name in names:
        method = getattr(api, name)
        if name != "updateReqId" and inspect.ismethod(method):
            method(**{key: _value(random, key) for key in inspect.signature(method).parameters})
    for order_id, order in enumerate(_orders(random), start=1):
        api.placeOrder(order_id, random.choice(CONTRACTS), order)
    return [message.encode() for message in sent]


def _orders(random: Random) -> list[Order]:
    parent = random.randint(1, 3)
    return [
        market("BUY", random.randint(0, 20)),
        limit("BUY", 10, 150, tif=random.choice(["DAY", "GTC", "IOC", "FOK", ""])),
        limit("BUY", 10, 250, transmit=False),
        stop("SELL", 10, 185, parentId=parent),
        limit("SELL", 10, 200, parentId=parent, ocaGroup="oca", ocaType=random.randint(0, 4)),
        market("SELL", 5, whatIf=True),
        market("SELL", 5, orderType=random.choice(["TRAIL", "MIT", "MOC", "REL"]), trailingPercent=1.0),
    ]


def _value(random: Random, name: str) -> Any:
    if name in VALUES:
        return random.choice(VALUES[name])
    if name.endswith(LISTS):
        return []
    if name.startswith(FLAGS):
        return random.choice([False, True])
    return random.randint(0, 12)
