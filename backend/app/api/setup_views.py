"""Setups over REST: create, list, read, change, archive, restore, execute."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.execution_serializers import ExecutionOutput, execution_json
from app.api.preconditions import (
    IF_MATCH,
    IF_NONE_MATCH,
    Preconditions,
    is_known_already,
    revisions_seen,
    setup_tag,
)
from app.api.prefer_wait import WAIT_SECONDS_MAX, wait_if_preferred
from app.api.schema import ERRORS
from app.api.setup_filters import SetupFilters, setups_asked_for
from app.api.setup_serializers import SetupInput, SetupOutput
from app.api.strict_input import EmptyInput, StrictQuery, body_read
from app.core import clock
from app.executions.selectors import idempotency_key_known
from app.executions.services.plan import plan_change, plan_create
from app.executions.services.request import IDEMPOTENCY_KEY_LENGTH_MAX, execution_request
from app.setups.models import Setup
from app.setups.selectors import require_may_act_on, require_may_plan, setups_visible_to
from app.setups.services import setup_archive, setup_restore

SETUP_EXAMPLE = {
    "symbol": "AAPL",
    "side": "LONG",
    "entry_type": "MARKET",
    "stop_price": "180.00",
    "take_profits": [{"price": "200.00", "fraction": "0.5"}],
    "risk_amount": "250.00",
}


class SetupCollection(StrictQuery, generics.ListAPIView[Setup]):
    """The setups the user may read, newest first."""

    inputs = {"POST": SetupInput}
    filters = SetupFilters
    is_list = True
    queryset = Setup.objects.none()
    serializer_class = SetupOutput

    def get_queryset(self) -> QuerySet[Setup]:
        """Return what the user may read and asked for."""
        return setups_asked_for(setups_visible_to(self.request.user), self.request)

    @extend_schema(
        operation_id="setups_list", parameters=[SetupFilters], responses={200: SetupOutput(many=True), **ERRORS}
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List setups, newest first. Archived ones only with `state=ARCHIVED`."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="setups_create",
        examples=[OpenApiExample("A market entry", SETUP_EXAMPLE, request_only=True)],
        request=SetupInput,
        responses={201: SetupOutput, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        """Store a plan. It is checked, but nothing is sent to the broker."""
        owner = require_may_plan(request.user)
        values = body_read(SetupInput(data=request.data))
        setup = plan_create(owner=owner, account_id=values.pop("account", ""), values=values)
        stored = SetupOutput(setup).data
        headers = {"Location": f"/api/v1/setups/{setup.pk}/", "ETag": setup_tag(stored)}
        return Response(stored, status=201, headers=headers)


class SetupView(StrictQuery, generics.GenericAPIView[Setup]):
    """What the views of one setup share."""

    queryset = Setup.objects.none()
    serializer_class = SetupOutput
    preconditions = Preconditions.READ

    def get_queryset(self) -> QuerySet[Setup]:
        """Return what the user may read: what is not among it is not found."""
        return setups_visible_to(self.request.user)

    def setup_to_act_on(self) -> Setup:
        """Return the setup, which the user may change and execute. Raises Http404, Forbidden."""
        setup = self.get_object()
        require_may_act_on(setup, user=self.request.user)
        return setup

    def answer(self, setup: Setup) -> Response:
        """Answer with the setup as it was written or read, and the ETag of just that."""
        told = SetupOutput(setup).data
        return Response(told, headers={"ETag": setup_tag(told)})


class SetupItem(SetupView):
    """One setup."""

    inputs = {"PATCH": SetupInput}

    @extend_schema(
        operation_id="setups_read",
        parameters=[IF_NONE_MATCH],
        responses={200: SetupOutput, 304: OpenApiResponse(description="Nothing has changed since."), **ERRORS},
    )
    def get(self, request: Request, pk: int) -> Response:
        """Read a setup. `ETag` names its revision, for `If-Match`, and changes with anything in the answer."""
        answer = self.answer(self.get_object())
        if is_known_already(request, answer["ETag"]):
            return Response(status=304, headers={"ETag": answer["ETag"]})
        return answer

    @extend_schema(
        operation_id="setups_update",
        request=SetupInput,
        parameters=[IF_MATCH],
        responses={200: SetupOutput, **ERRORS},
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Change a setup that was not executed yet; fields left out stay as they are."""
        setup = self.setup_to_act_on()
        values = body_read(SetupInput(data=request.data, partial=True))
        seen = revisions_seen(request)
        return self.answer(plan_change(setup=setup, account_id=values.pop("account", ""), values=values, seen=seen))

    @extend_schema(operation_id="setups_delete", request=None, parameters=[IF_MATCH], responses={204: None, **ERRORS})
    def delete(self, request: Request, pk: int) -> Response:
        """Archive a setup: nothing that may have traded is ever deleted."""
        setup_archive(setup_id=self.setup_to_act_on().pk, now=clock.now(), seen=revisions_seen(request))
        return Response(status=204)


class SetupArchive(SetupView):
    """Putting a setup out of sight."""

    @extend_schema(
        operation_id="setups_archive", request=None, parameters=[IF_MATCH], responses={200: SetupOutput, **ERRORS}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Archive a setup. Its executions stay and go on. Safe to repeat."""
        setup = self.setup_to_act_on()
        return self.answer(setup_archive(setup_id=setup.pk, now=clock.now(), seen=revisions_seen(request)))


class SetupRestore(SetupView):
    """Bringing a setup back from the archive."""

    @extend_schema(
        operation_id="setups_restore", request=None, parameters=[IF_MATCH], responses={200: SetupOutput, **ERRORS}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Bring an archived setup back, as it was. Safe to repeat."""
        setup = self.setup_to_act_on()
        return self.answer(setup_restore(setup_id=setup.pk, seen=revisions_seen(request)))


class SetupExecute(SetupView):
    """Executing a setup."""

    inputs = {"POST": EmptyInput}

    @extend_schema(
        operation_id="setups_execute",
        request=EmptyInput,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX},
                OpenApiParameter.HEADER,
                required=True,
                description="A text of your own that names this request: sent again it cannot trade twice.",
            ),
            IF_MATCH,
            OpenApiParameter(
                "Prefer",
                str,
                OpenApiParameter.HEADER,
                description=f"`wait=N`: answer once confirmed, after {WAIT_SECONDS_MAX} s at the latest.",
            ),
        ],
        responses={
            200: OpenApiResponse(ExecutionOutput, description="Confirmed while it was waited for (`Prefer: wait=N`)."),
            202: OpenApiResponse(ExecutionOutput, description="Taken; read the execution to see how it goes on."),
            **ERRORS,
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        """Place the setup's bracket at the broker, once for each Idempotency-Key; with If-Match only as it was read."""
        setup = self.setup_to_act_on()
        user = require_may_plan(request.user)
        key = request.headers.get("Idempotency-Key", "").strip()
        is_known = idempotency_key_known(user=user, idempotency_key=key)
        # A known key is answered first: nothing is carried out, so there is nothing to stop.
        seen = None if is_known else revisions_seen(request)
        body = request.data
        if not isinstance(body, dict) or not is_known:
            body = body_read(EmptyInput(data=body))
        # Under a known key any body goes on: where it is another one, that is the error to tell.
        execution, _is_new = execution_request(
            setup=setup, user=user, idempotency_key=key, body=body, now=clock.now(), seen=seen
        )
        confirmed, headers = wait_if_preferred(request, execution_id=execution.pk)
        headers["Location"] = f"/api/v1/executions/{execution.pk}/"
        return Response(execution_json(execution.pk), status=200 if confirmed else 202, headers=headers)
