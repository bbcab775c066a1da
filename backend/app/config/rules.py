"""Settings that lose money, a secret or an alert, though each is well written by itself.

trading.E002  live trading without naming the account
trading.E004  SECURE without a SECRET_KEY of its own: every process would sign with another one
trading.E005  DEBUG together with SECURE or live trading: error pages show what no client may see
trading.E006  the broker worker and the data worker share one client id: each would throw the other out
trading.E007  SECURE with a SECRET_KEY that can be guessed
trading.E008  SECURE with ALLOWED_HOSTS=*: any name would be believed, in links that are mailed and cached too
trading.E010  our own client id among those of other programs: our deals would be taken for theirs
trading.E011  other programs' client ids in an account that is ours alone
trading.E009  an address in ALERT_URLS that no service of Apprise can read: the alert would reach nobody
"""

from collections.abc import Sequence
from typing import NamedTuple

from app.domain.exposure import AccountUse

# What Django's own deployment check asks for (security.W009).
KEY_LENGTH_MIN = 50
KEY_CHARACTERS_MIN = 5
INSECURE_PREFIX = "django-insecure-"


class Contradiction(NamedTuple):
    """What is wrong, what to do, and the number that it is known by."""

    id: str
    message: str
    hint: str


def contradictions(
    *,
    account_use: str,
    allowed_hosts: Sequence[str],
    debug: bool,
    ib_account: str,
    ib_client_id: int,
    ib_data_client_id: int,
    ib_trading_mode: str,
    others_client_ids: Sequence[int],
    secret_key: str,
    secure: bool,
) -> list[Contradiction]:
    """Return all of them; `secret_key` is "" where none was set."""
    live = ib_trading_mode == "live"
    found = []
    if live and not ib_account:
        found.append(Contradiction("trading.E002", "IB_TRADING_MODE=live without IB_ACCOUNT.", "Name the account."))
    if secure and not secret_key:
        found.append(Contradiction("trading.E004", "SECURE=true without a SECRET_KEY.", "Set one for all processes."))
    elif secure and _can_be_guessed(secret_key):
        hint = f"Set {KEY_LENGTH_MIN} random characters; .env.example says how to make them."
        found.append(Contradiction("trading.E007", "SECURE=true with a SECRET_KEY that can be guessed.", hint))
    if debug and (secure or live):
        message = "DEBUG=true together with SECURE=true or IB_TRADING_MODE=live."
        found.append(Contradiction("trading.E005", message, "Set DEBUG=false."))
    if ib_client_id == ib_data_client_id:
        message = f"IB_CLIENT_ID and IB_DATA_CLIENT_ID are both {ib_client_id}."
        found.append(Contradiction("trading.E006", message, "A Gateway accepts each client id once."))
    ours = {ib_client_id: "IB_CLIENT_ID", ib_data_client_id: "IB_DATA_CLIENT_ID"}
    for own in sorted(ours.keys() & set(others_client_ids)):
        message = f"OTHERS_CLIENT_IDS holds {own}, which is {ours[own]}."
        found.append(Contradiction("trading.E010", message, "Name the client ids of other programs only."))
    if others_client_ids and account_use == AccountUse.EXCLUSIVE:
        message = "OTHERS_CLIENT_IDS together with ACCOUNT_USE=EXCLUSIVE."
        found.append(Contradiction("trading.E011", message, "An account that others trade in is SHARED."))
    if secure and "*" in allowed_hosts:
        hint = "Name the hosts that the site is reached by."
        found.append(Contradiction("trading.E008", "SECURE=true with * in ALLOWED_HOSTS.", hint))
    return found


def unreadable_alert_urls(addresses: Sequence[str]) -> list[Contradiction]:
    """Return one for each address that cannot be read, by its place: the address is a secret."""
    if not addresses:
        return []
    from app.alerts.notify import channels_unreadable  # It loads Django, which the judge of `up` has no use for.

    hint = "Write it as Apprise's page of that service says, for example jsons://hooks.example/trading."
    return [
        Contradiction("trading.E009", f"ALERT_URLS: Apprise cannot read address {number}.", hint)
        for number in channels_unreadable(addresses)
    ]


def _can_be_guessed(key: str) -> bool:
    is_varied = len(key) >= KEY_LENGTH_MIN and len(set(key)) >= KEY_CHARACTERS_MIN
    return not is_varied or key.startswith(INSECURE_PREFIX)
