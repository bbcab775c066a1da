"""Which bars IB makes: their sizes, how far back a request may reach, and what a bar can show.

Source of the limits: IB's table of step sizes for historical data. For bars of a minute and more IB has lifted them.
"""

from ib_simulator.errors import Refusal

VALIDATING = "Error validating request.-'bP' : cause - "
DAY_SECONDS = 86400
BARS_MAX = 20_000

BAR_SECONDS: dict[str, int] = {
    **{f"{n} secs": n for n in (1, 5, 10, 15, 30)},
    "1 min": 60,
    **{f"{n} mins": n * 60 for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3600,
    **{f"{n} hours": n * 3600 for n in (2, 3, 4, 8)},
    "1 day": DAY_SECONDS,
    "1 week": 7 * DAY_SECONDS,
    "1 month": 30 * DAY_SECONDS,
}
# Other ways to write the same sizes that IB takes.
SAME_SIZES = {"1 sec": "1 secs", "1 mins": "1 min", "1 hours": "1 hour", "1D": "1 day", "1W": "1 week", "1M": "1 month"}
# Trading days in a duration: "1 W" are five sessions.
DURATION_SESSIONS = {"S": 0, "D": 1, "W": 5, "M": 21, "Y": 252}
DURATION_SECONDS = {"S": 1, "D": DAY_SECONDS, "W": 7 * DAY_SECONDS, "M": 30 * DAY_SECONDS, "Y": 365 * DAY_SECONDS}
# The longest duration for bars of some seconds.
SPAN_SECONDS_MAX = {1: 2000, 5: 7200, 10: 14400, 15: 14400, 30: DAY_SECONDS}
LIVE_BAR_SECONDS_MIN = 5

PRICED = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"})
VOLATILITIES = frozenset({"HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"})
WHAT_TO_SHOW = PRICED | VOLATILITIES | {"SCHEDULE"}


def check_bar_size(bar_size: str) -> int:
    """Return its seconds. Raises Refusal 321 for a size IB doesn't have."""
    size = SAME_SIZES.get(bar_size, bar_size)
    if size not in BAR_SECONDS:
        raise Refusal(
            code=321,
            text=f"{VALIDATING}Historical data bar size setting is invalid. Legal ones are: {', '.join(BAR_SECONDS)}",
        )
    return BAR_SECONDS[size]


def split_duration(duration: str) -> tuple[int, str]:
    """Return number and unit. Raises Refusal 321 for anything but `<number> S|D|W|M|Y`, or too many of a unit."""
    amount, _, unit = duration.strip().partition(" ")
    if not amount.isdecimal() or unit not in DURATION_SECONDS or not 0 < int(amount) <= 100_000:
        raise Refusal(
            code=321,
            text=f"{VALIDATING}Historical data query end date/time or duration is invalid. "
            "Format is '<integer>{SPACE}unit (S|D|W|M|Y)'.",
        )
    number = int(amount)
    if unit == "S" and number > DAY_SECONDS:
        cause = "Historical data requests for durations longer than 86400 seconds must be made in days."
        raise Refusal(code=321, text=VALIDATING + cause)
    if unit in {"D", "W", "M"} and number * DURATION_SECONDS[unit] > DURATION_SECONDS["Y"] + 5 * DAY_SECONDS:
        cause = "Historical data requests for durations longer than 365 days must be made in years."
        raise Refusal(code=321, text=VALIDATING + cause)
    return number, unit


def check_duration(duration: str) -> int:
    """Return its seconds. Raises Refusal 321."""
    number, unit = split_duration(duration)
    return number * DURATION_SECONDS[unit]


def check_span(*, bar_seconds: int, span: int) -> None:
    """Raises Refusal 162 for a duration that is too long for small bars, or more bars than IB would give."""
    if span > SPAN_SECONDS_MAX.get(bar_seconds, span) or span // bar_seconds > BARS_MAX * 4:
        raise too_long()


def too_long() -> Refusal:
    return Refusal(code=162, text="Historical Market Data Service error message:Time length exceed max.")
