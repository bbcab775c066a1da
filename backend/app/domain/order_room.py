"""How many orders Interactive Brokers works with on one side of a contract, and what its refusal of one more says.

IB's knowledge base says 15 for each contract, side and account, its programmers' manual 20; the refusal names a number
of its own. So the number is a setting, and a refusal counts whatever the number is.
"""

import re

# Per contract, side and account; source: "Limit on the number of active orders", IBKR Knowledge Base.
ORDERS_PER_CONTRACT_MAX = 15
REFUSED_CODE = 201
_TOO_MANY = re.compile(r"\b\d+\)?\s+(?:active |open |working |stacked )?orders?\b", re.IGNORECASE)
_OF_A_SIDE = re.compile(r"\bsides?\b|\bmaximum\b|\bexceed", re.IGNORECASE)


def is_refused_for_room(*, code: int | None, text: str) -> bool:
    """Say whether the broker refused an order because too many work on its side of the contract already.

    >>> is_refused_for_room(code=201, text="... a minimum of 15 orders working on either the buy or sell side")
    True
    >>> is_refused_for_room(code=201, text="Order rejected - reason:The contract is not available for short sale.")
    False
    """
    return code == REFUSED_CODE and bool(_TOO_MANY.search(text) and _OF_A_SIDE.search(text))
