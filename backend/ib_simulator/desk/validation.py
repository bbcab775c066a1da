"""What an order is about: its contract and its account. `terms.py` has its type, times and prices."""

from ib_simulator.desk.terms import VALIDATING
from ib_simulator.errors import Refusal
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.messages.place_order import PlaceOrder


def find_instrument(instruments: InstrumentList, request: PlaceOrder) -> Instrument:
    """Raises Refusal 321 without an exchange, 200 for a contract that does not exist or an index (nobody buys one)."""
    if not request.contract.exchange:
        raise Refusal(code=321, text=f"{VALIDATING}Missing order exchange")
    instrument = instruments.find(request.contract)
    if instrument is None or instrument.sec_type == "IND":
        raise Refusal(code=200, text="No security definition has been found for the request")
    return instrument


def choose_account(request: PlaceOrder, accounts: tuple[str, ...]) -> str:
    """Return the account of an order: the one named, or the only one. Raises Refusal 321 or 435."""
    if not request.account:
        if len(accounts) > 1:
            raise Refusal(code=435, text="You must specify an account.")
        return accounts[0]
    if request.account not in accounts:
        raise Refusal(code=321, text=f"{VALIDATING}Invalid account code '{request.account}'")
    return request.account
