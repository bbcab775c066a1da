"""Moving a stop or a target over REST."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.decimal_fields import Price
from app.api.execution_serializers import CommandOutput
from app.api.schema import ERRORS
from app.api.strict_fields import StrictInteger
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core import clock
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to, require_may_resolve
from app.executions.services.move import Move, Moved, order_move_request
from app.executions.services.request import IDEMPOTENCY_KEY_LENGTH_MAX

TRANCHE_MAX = 32767
KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX},
    OpenApiParameter.HEADER,
    required=True,
    description="A text of your own that names this move: sent again it moves nothing twice.",
)


class TargetMoveInput(StrictInput):
    """Where to, and where it was when you looked."""

    price = Price()
    expected_price = Price(help_text="Where it was when you looked; another by now is `price_changed`.")


class StopMoveInput(TargetMoveInput):
    """The same for a stop, of one tranche or of all."""

    tranche = StrictInteger(
        required=False, min_value=1, max_value=TRANCHE_MAX, help_text="Without it the stops of all tranches are moved."
    )


class MoveOutput(serializers.Serializer[Any]):
    """What is sent; `settled_how` of each says `echoed` once the broker has moved it."""

    commands = CommandOutput(many=True)


class _MoveView(StrictQuery, generics.GenericAPIView[Execution]):
    """What both views share."""

    queryset = Execution.objects.none()
    serializer_class = MoveOutput

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read."""
        return executions_visible_to(self.request.user).select_related("setup")

    def moved(self, request: Request, what: Moved, **values: Any) -> Response:
        """Have it moved, and answer with what is sent."""
        execution = self.get_object()
        user = require_may_resolve(execution, user=request.user)
        commands = order_move_request(
            execution_id=execution.pk,
            move=Move(what=what, **values),
            user=user,
            idempotency_key=request.headers.get("Idempotency-Key", "").strip(),
            now=clock.now(),
        )
        return Response(MoveOutput({"commands": commands}).data, status=202)


class StopMove(_MoveView):
    """Moving a stop."""

    inputs = {"PATCH": StopMoveInput}

    @extend_schema(
        operation_id="executions_move_stop",
        request=StopMoveInput,
        parameters=[KEY],
        responses={202: OpenApiResponse(MoveOutput, description="Taken; the broker's echo settles it."), **ERRORS},
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Move the working stops, of one tranche or of all, once for each Idempotency-Key."""
        return self.moved(request, Moved.STOP, **body_read(StopMoveInput(data=request.data)))


class TargetMove(_MoveView):
    """Moving a target."""

    inputs = {"PATCH": TargetMoveInput}

    @extend_schema(
        operation_id="executions_move_target",
        request=TargetMoveInput,
        parameters=[KEY],
        responses={202: OpenApiResponse(MoveOutput, description="Taken; the broker's echo settles it."), **ERRORS},
    )
    def patch(self, request: Request, pk: int, tranche: int) -> Response:
        """Move the target of a tranche, once for each Idempotency-Key."""
        return self.moved(request, Moved.TARGET, tranche=tranche, **body_read(TargetMoveInput(data=request.data)))
