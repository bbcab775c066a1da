"""What a page showed of a plan travels with its forms, so that Execute, Save and Archive mean what was looked at.

page shows revision 3 ──> form sends `revision` = 3 and `seen` = the plan as it was shown, signed
                      ──> the setup is at 4: nothing is done; the page shows what was there then and what is now
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.core import signing
from django.http import HttpRequest

from app.core.decimal_text import plain
from app.core.errors import FixRequest
from app.setups.models import Setup
from app.web.setup_words import entry_words, size_words, targets_words, time_limit_words

_SALT = "setup-seen"
REVISION_DIGITS_MAX = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing that is not as it was shown."""

    label: str
    then: str
    now: str


def plan_shown(setup: Setup) -> dict[str, str]:
    """Return the plan as people read it: label to text."""
    return {
        "Symbol": setup.symbol,
        "Side": setup.side,
        "Entry": entry_words(setup),
        "Protective stop": plain(setup.stop_price, places_min=2),
        "Targets": targets_words(setup),
        "Size": size_words(setup),
        "In force": setup.time_in_force + (", outside regular hours" if setup.outside_rth else ""),
        "Entry time limit": time_limit_words(setup),
        "Account": f"{setup.account} ({setup.account.mode})",
        "Owner": setup.owner.username,
        "State": "Archived" if setup.archived_at else "Current",
        "Tags": ", ".join(setup.tags),
        "Notes": setup.notes,
    }


def seen_token(setup: Setup) -> str:
    """Return what a form carries of the plan that its page shows."""
    return signing.dumps(plan_shown(setup), salt=_SALT, compress=True)


def differences(setup: Setup, token: str) -> list[Difference]:
    """Return what is shown otherwise now; nothing where the token is none of ours."""
    try:
        then: Mapping[str, str] = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return []
    now = plan_shown(setup)
    return [
        Difference(label=label, then=then.get(label, ""), now=text)
        for label, text in now.items()
        if then.get(label, "") != text
    ]


def revision_posted(request: HttpRequest) -> set[int]:
    """Return the revision that the page showed. Raises FixRequest `revision_missing` where the form named none."""
    given = request.POST.get("revision", "")
    if not (given.isascii() and given.isdigit() and len(given) <= REVISION_DIGITS_MAX):
        raise FixRequest(
            "The page did not say which plan it showed. Look at the plan below and try again.", code="revision_missing"
        )
    return {int(given)}
