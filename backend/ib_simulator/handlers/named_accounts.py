"""Which accounts a request is about: one by its name, or `All`."""

from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

ALL_ACCOUNTS = "All"


def named_accounts(gateway: "Gateway", account: str) -> tuple[str, ...]:
    """Return the accounts meant. Raises Refusal 321, as IB answers a name it does not serve."""
    if account == ALL_ACCOUNTS:
        return gateway.config.accounts
    if account not in gateway.config.accounts:
        raise Refusal(code=321, text="Error validating request.-'ci' : cause - Invalid account code")
    return (account,)
