"""Closing a position, or a part of it, over REST."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.decimal_fields import PlainDecimal, Price, Quantity
from app.api.execution_serializers import ExecutionOutput, execution_json
from app.api.preconditions import Preconditions
from app.api.schema import ERRORS
from app.api.strict_fields import StrictChoice
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core import clock
from app.domain.terms import OrderType
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to
from app.executions.services.close_request import CloseAsked, execution_close_request
from app.executions.services.request import IDEMPOTENCY_KEY_LENGTH_MAX
from app.setups.selectors import require_may_act_on

KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX},
    OpenApiParameter.HEADER,
    required=True,
    description="A text of your own that names this request: sent again it closes nothing twice.",
)


class Fraction(PlainDecimal):
    """A part of one, "0.5"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=9, decimal_places=8, **kwargs)


class CloseInput(StrictInput):
    """How much, and how. One of `fraction` and `quantity`."""

    fraction = Fraction(
        required=False, help_text="Of the open quantity, above 0 and at most 1; rounded down, from tranche 1 upwards."
    )
    quantity = Quantity(required=False, help_text="Whole shares, from tranche 1 upwards.")
    order_type = StrictChoice(
        choices=[OrderType.MARKET.value, OrderType.LIMIT.value],
        required=False,
        default=OrderType.MARKET.value,
        help_text="`LIMIT` moves the targets of whole tranches to `limit_price`.",
    )
    limit_price = Price(required=False)


class ExecutionClose(StrictQuery, generics.GenericAPIView[Execution]):
    """Closing what is held."""

    queryset = Execution.objects.none()
    serializer_class = ExecutionOutput
    inputs = {"POST": CloseInput}
    preconditions = Preconditions.IGNORED

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read."""
        return executions_visible_to(self.request.user).select_related("setup")

    @extend_schema(
        operation_id="executions_close",
        request=CloseInput,
        parameters=[KEY],
        responses={202: OpenApiResponse(ExecutionOutput, description="Taken; its orders show the rest."), **ERRORS},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Close what is held, or a part of it, once for each Idempotency-Key."""
        execution = self.get_object()
        user = require_may_act_on(execution.setup, user=request.user)
        values = body_read(CloseInput(data=request.data))
        values["order_type"] = OrderType(values["order_type"])
        execution_close_request(
            execution_id=execution.pk,
            asked=CloseAsked(**values),
            user=user,
            idempotency_key=request.headers.get("Idempotency-Key", "").strip(),
            now=clock.now(),
        )
        return Response(execution_json(execution.pk), status=202)
