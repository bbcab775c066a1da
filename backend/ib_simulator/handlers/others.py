"""What this account has no part in: news, scanners, fundamentals, advisors. IB's own refusal, or an empty answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Handler
from ib_simulator.messages import other_answers
from ib_simulator.messages.answer import Answer
from ib_simulator.messages.ids import Request
from ib_simulator.messages.other_requests import OtherRequest
from ib_simulator.messages.request import RequestMessage

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

# requestFA has no id; a Gateway answers it on the largest integer.
FA_REQUEST_ID = 2147483647
NOT_AN_ADVISOR = "FA data operations ignored for non FA customers."
NEWS_NOT_ALLOWED = "News feed is not allowed."
# A Gateway refuses the calendar as it refuses news [CAPTURE api_wsh_variants_aapl].
REFUSALS: dict[Request, tuple[int, str]] = {
    Request.REPLACE_FA: (321, f"Error validating request.-'b1' : cause - {NOT_AN_ADVISOR}"),
    Request.EXERCISE_OPTIONS: (
        322,
        "Error processing request.-'bY' : cause - No unlapsed position exists in this option in the account.",
    ),
    Request.REQ_SCANNER_SUBSCRIPTION: (165, "Historical Market Data Service query message:no items retrieved"),
    Request.CANCEL_SCANNER_SUBSCRIPTION: (365, "No scanner subscription found for ticker id:{id}"),
    Request.REQ_FUNDAMENTAL_DATA: (
        430,
        "The fundamentals data for the security specified is not available.Not allowed",
    ),
    Request.REQ_NEWS_ARTICLE: (10172, "Failed to request news article:No data available"),
    Request.REQ_HISTORICAL_NEWS: (10276, NEWS_NOT_ALLOWED),
    Request.REQ_WSH_META_DATA: (10276, NEWS_NOT_ALLOWED),
    Request.REQ_WSH_EVENT_DATA: (10276, NEWS_NOT_ALLOWED),
    Request.CANCEL_WSH_META_DATA: (10280, "Failed to cancel WSH meta data."),
    Request.CANCEL_WSH_EVENT_DATA: (10284, "Failed to cancel WSH event data."),
}


def _family_codes(gateway: "Gateway", _request_id: int) -> Answer:
    return other_answers.family_codes(gateway.config.accounts)


ANSWERS: dict[Request, Callable[["Gateway", int], Answer]] = {
    Request.REQ_SCANNER_PARAMETERS: lambda _gateway, _id: other_answers.scanner_parameters(),
    Request.QUERY_DISPLAY_GROUPS: lambda _gateway, request_id: other_answers.display_groups(request_id),
    Request.SUBSCRIBE_TO_GROUP_EVENTS: lambda _gateway, request_id: other_answers.display_group(request_id),
    Request.REQ_SOFT_DOLLAR_TIERS: lambda _gateway, request_id: other_answers.soft_dollar_tiers(request_id),
    Request.REQ_FAMILY_CODES: _family_codes,
    Request.REQ_NEWS_PROVIDERS: lambda _gateway, _id: other_answers.news_providers(),
    Request.REQ_USER_INFO: lambda _gateway, request_id: other_answers.user_info(request_id),
}
# IB answers these with nothing at all: bulletins come when there are some, and an end needs no answer.
SILENT = frozenset(
    {
        Request.REQ_NEWS_BULLETINS,
        Request.CANCEL_NEWS_BULLETINS,
        Request.CANCEL_FUNDAMENTAL_DATA,
        Request.UPDATE_DISPLAY_GROUP,
        Request.UNSUBSCRIBE_FROM_GROUP_EVENTS,
    }
)


def answer_other(gateway: "Gateway", session: "Session", request: OtherRequest) -> None:
    """Raises Refusal with IB's code for what this account may not have."""
    if request.kind is Request.REQUEST_FA:
        text = f"Error validating request.-'b9' : cause - {NOT_AN_ADVISOR}"
        session.send_error(request_id=FA_REQUEST_ID, code=321, text=text)
    elif request.kind in REFUSALS:
        code, text = REFUSALS[request.kind]
        raise Refusal(code=code, text=text.replace("{id}", str(request.request_id)))
    elif request.kind not in SILENT:
        session.send(ANSWERS[request.kind](gateway, request.request_id))


HANDLERS: dict[type[RequestMessage], Handler] = {OtherRequest: answer_other}
