"""Executions over REST: list, read, cancel."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.execution_filters import ExecutionFilters, executions_asked_for
from app.api.execution_serializers import ExecutionOutput, ExecutionSummary, SeenInput, execution_json
from app.api.preconditions import IF_NONE_MATCH, Preconditions, content_tag, is_known_already
from app.api.schema import ERRORS
from app.api.strict_input import StrictQuery, body_read
from app.core import clock
from app.domain.command import CommandReason
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to, require_may_look, with_fills
from app.executions.services.attention import execution_seen
from app.executions.services.cancel import execution_cancel_request
from app.setups.selectors import require_may_act_on


class ExecutionCollection(StrictQuery, generics.ListAPIView[Execution]):
    """The executions the user may read, newest first."""

    filters = ExecutionFilters
    is_list = True
    queryset = Execution.objects.none()
    serializer_class = ExecutionSummary

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read and asked for."""
        return with_fills(executions_asked_for(executions_visible_to(self.request.user), self.request))

    @extend_schema(
        operation_id="executions_list",
        parameters=[ExecutionFilters],
        responses={200: ExecutionSummary(many=True), **ERRORS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List executions, newest first, without their checks and events."""
        return super().get(request, *args, **kwargs)


class ExecutionItem(StrictQuery, generics.GenericAPIView[Execution]):
    """One execution."""

    queryset = Execution.objects.none()
    serializer_class = ExecutionOutput

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read: what is not among it is not found."""
        return with_fills(executions_visible_to(self.request.user))

    @extend_schema(
        operation_id="executions_read",
        parameters=[IF_NONE_MATCH],
        responses={200: ExecutionOutput, 304: OpenApiResponse(description="Nothing has changed since."), **ERRORS},
    )
    def get(self, request: Request, pk: int) -> Response:
        """Read an execution with its brackets, orders, fills and events. `ETag` changes with anything in it."""
        execution = ExecutionOutput(self.get_object()).data
        tag = content_tag(execution)
        if is_known_already(request, tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(execution, headers={"ETag": tag})


class ExecutionCancel(StrictQuery, generics.GenericAPIView[Execution]):
    """Cancelling what is not filled yet."""

    queryset = Execution.objects.none()
    serializer_class = ExecutionOutput
    preconditions = Preconditions.IGNORED

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read."""
        return executions_visible_to(self.request.user).select_related("setup")

    @extend_schema(operation_id="executions_cancel", request=None, responses={202: ExecutionOutput, **ERRORS})
    def post(self, request: Request, pk: int) -> Response:
        """Have the unfilled part of the entry cancelled. Filled shares keep their stop."""
        execution = self.get_object()
        user = require_may_act_on(execution.setup, user=request.user)
        execution_cancel_request(execution_id=execution.pk, reason=CommandReason.REQUESTED, user=user, now=clock.now())
        return Response(execution_json(execution.pk), status=202)


class ExecutionSeen(StrictQuery, generics.GenericAPIView[Execution]):
    """Saying that a person has looked."""

    queryset = Execution.objects.none()
    serializer_class = ExecutionOutput
    inputs = {"POST": SeenInput}

    def get_queryset(self) -> QuerySet[Execution]:
        """Return what the user may read."""
        return executions_visible_to(self.request.user).select_related("setup")

    @extend_schema(operation_id="executions_seen", request=SeenInput, responses={200: ExecutionOutput, **ERRORS})
    def post(self, request: Request, pk: int) -> Response:
        """Note that somebody has seen why a person must look: `attention` is empty until there is another reason."""
        execution = self.get_object()
        user = require_may_look(execution, user=request.user)
        through = body_read(SeenInput(data=request.data)).get("through")
        execution_seen(execution_id=execution.pk, through=through, user=user, now=clock.now())
        return Response(execution_json(execution.pk))
