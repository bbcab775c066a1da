"""The answers of an account that subscribes to nothing: empty lists, and who the user is."""

from collections.abc import Sequence

from ib_simulator.messages.answer import Answer, plain

# A scan has nothing to choose from here; the shape is that of the real list.
SCANNER_PARAMETERS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ScanParameterResponse><InstrumentList varName="instrumentList">'
    "<Instrument><name>US Stocks</name><type>STK</type></Instrument></InstrumentList>"
    '<LocationTree varName="locationTree"></LocationTree><ScanTypeList varName="scanTypeList"></ScanTypeList>'
    "</ScanParameterResponse>"
)
NO_GROUP = "none"


def scanner_parameters() -> Answer:
    return plain("scannerParameters", 19, 1, SCANNER_PARAMETERS)


def display_groups(request_id: int) -> Answer:
    """A Gateway has no windows to group."""
    return plain("displayGroupList", 67, 1, request_id, "")


def display_group(request_id: int) -> Answer:
    return plain("displayGroupUpdated", 68, 1, request_id, NO_GROUP)


def soft_dollar_tiers(request_id: int) -> Answer:
    return plain("softDollarTiers", 77, request_id, 0)


def family_codes(accounts: Sequence[str]) -> Answer:
    """Accounts that belong to no family have an empty code."""
    return plain("familyCodes", 78, len(accounts), *(cell for account in accounts for cell in (account, "")))


def news_providers() -> Answer:
    return plain("newsProviders", 85, 0)


def user_info(request_id: int) -> Answer:
    """The white branding id; empty for a client of IB itself."""
    return plain("userInfo", 107, request_id, "")
