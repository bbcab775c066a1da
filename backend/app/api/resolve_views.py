"""Settling, over REST, what the system cannot settle by itself."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.decimal_fields import Price, Quantity
from app.api.schema import ERRORS
from app.api.strict_fields import QueryTime, StrictBoolean, StrictChoice, StrictText
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core import clock
from app.domain.command import CommandKind
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to, require_may_resolve
from app.executions.services.resolve import execution_resolve
from app.executions.services.resolve_facts import NOTE_LENGTH_MAX, Act, Asked


class ResolveInput(StrictInput):
    """What a person decides."""

    act = StrictChoice(
        choices=[act.value for act in Act],
        help_text="`closed_elsewhere`: the missing shares were ours. `not_ours`: the difference belongs to others. "
        "`take_over`: so many shares are its own from now on. `protect`: shares without a stop get one. "
        "`close_surplus`: what was closed too much is bought or sold back. "
        "`enter_fill`: an order filled, and the broker tells that deal no more. `dismiss`: the flags need nothing.",
    )
    quantity = Quantity(
        required=False,
        help_text="Shares; left out, of `closed_elsewhere` all that are missing, of `protect` all without a stop.",
    )
    stop_price = Price(required=False, help_text="Where the stop of `protect` or `take_over` is to be.")
    difference = Quantity(required=False, help_text="The one that was looked at; another by now is `facts_changed`.")
    order_ref = StrictText(required=False, max_length=64, help_text="The order that filled.")
    price = Price(required=False, help_text="What it filled at.")
    executed_at = QueryTime(required=False, help_text="When it filled; UTC where no zone is named.")
    note = StrictText(required=False, max_length=NOTE_LENGTH_MAX, help_text="Why; `dismiss` needs one.")
    facts = StrictText(
        required=False, max_length=64, help_text="What `dry_run` named the picture; another by now is `facts_changed`."
    )
    dry_run = StrictBoolean(required=False, default=False, help_text="Only say what would come of it.")


class SendingOutput(serializers.Serializer[Any]):
    """One thing that goes to the broker because of the act."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in CommandKind])
    order_ref = serializers.CharField()
    text = serializers.CharField()


class ResolveOutput(serializers.Serializer[Any]):
    """What the act does and why, in shares. `difference`: what the account holds beyond our books."""

    act = serializers.CharField()
    text = serializers.CharField()
    facts = serializers.CharField(help_text="Names the picture: send it with the act itself.")
    sends = SendingOutput(many=True)
    difference = Quantity()
    open_before = Quantity()
    open_after = Quantity()
    others_before = Quantity()
    others_after = Quantity()


class ExecutionResolve(StrictQuery, generics.GenericAPIView[Execution]):
    """Carrying out what a person decided."""

    queryset = Execution.objects.none()
    serializer_class = ResolveOutput
    inputs = {"POST": ResolveInput}

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read."""
        return executions_visible_to(self.request.user).select_related("setup")

    @extend_schema(
        operation_id="executions_resolve",
        request=ResolveInput,
        responses={200: ResolveOutput, 202: ResolveOutput, **ERRORS},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Carry out a decision. 200 with `dry_run`, else 202: exits that are left are cut by the guard, in seconds."""
        execution = self.get_object()
        user = require_may_resolve(execution, user=request.user)
        values = body_read(ResolveInput(data=request.data))
        dry_run, facts = values.pop("dry_run"), values.pop("facts", "")
        asked = Asked(**values | {"act": Act(values["act"])})
        resolution = execution_resolve(
            execution_id=execution.pk, asked=asked, user=user, now=clock.now(), facts=facts, dry_run=dry_run
        )
        return Response(ResolveOutput(asdict(resolution)).data, status=200 if dry_run else 202)
