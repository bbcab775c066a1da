"""Settling, over REST, what the account and our rows disagree about."""

from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.decimal_fields import Quantity
from app.api.schema import ERRORS
from app.api.strict_fields import StrictBoolean, StrictChoice
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core import clock
from app.core.errors import Forbidden
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to
from app.executions.services.resolve import Act, execution_resolve
from app.setups.selectors import require_may_plan


class ResolveInput(StrictInput):
    """What a person decides."""

    act = StrictChoice(
        choices=[act.value for act in Act],
        help_text="`closed_elsewhere`: the missing shares were ours. `not_ours`: the difference belongs to others.",
    )
    quantity = Quantity(
        required=False, help_text="How many shares were closed elsewhere; all that are missing when left out."
    )
    difference = Quantity(required=False, help_text="The one that was looked at; another by now is `facts_changed`.")
    dry_run = StrictBoolean(required=False, default=False, help_text="Only say what would come of it.")


class ResolveOutput(serializers.Serializer[Any]):
    """What the act does, in shares. `difference`: what the account holds beyond our books."""

    act = serializers.CharField()
    difference = Quantity()
    open_before = Quantity()
    open_after = Quantity()
    others_before = Quantity()
    others_after = Quantity()


class ExecutionResolve(StrictQuery, generics.GenericAPIView[Execution]):
    """Settling a difference."""

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
        """Say whose it was. 200 with `dry_run`, else 202: the exits are cut by the guard, within seconds."""
        execution = self.get_object()
        user = _require_may_resolve(execution, request.user)
        values = body_read(ResolveInput(data=request.data))
        act = Act(values.pop("act"))
        resolution = execution_resolve(execution_id=execution.pk, act=act, user=user, now=clock.now(), **values)
        return Response(ResolveOutput(asdict(resolution)).data, status=200 if values["dry_run"] else 202)


def _require_may_resolve(execution: Execution, user: Any) -> User:
    """Return the user: the owner, a trader or an admin. Raises Forbidden `role_missing`, `not_owner`."""
    actor = require_may_plan(user)
    if execution.setup.owner_id != actor.pk and not actor.has_perm("accounts.engage_kill_switch"):
        raise Forbidden("Only its owner, a trader or an admin may settle it.", code="not_owner")
    return actor
