"""A token for scripts, in exchange for a user's name and password."""

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import ErrorDetail, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.schema import ERRORS
from app.api.strict_fields import StrictText
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core import clock
from app.core.errors import FixRequest
from app.logins.attempts import TooManyAttempts
from app.logins.sessions import login_note


class TokenInput(StrictInput):
    """Who asks."""

    username = StrictText(max_length=150)
    password = StrictText(max_length=1024, trim_whitespace=False)


class TokenOutput(serializers.Serializer[Any]):
    """Send it as `Authorization: Token <token>`."""

    token = serializers.CharField()


class TokenView(StrictQuery):
    """Tokens."""

    inputs = {"POST": TokenInput}
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    @extend_schema(operation_id="token_create", request=TokenInput, responses={200: TokenOutput, **ERRORS}, auth=[])
    def post(self, request: Request) -> Response:
        """Return the user's token, made at the first time."""
        given = body_read(TokenInput(data=request.data))
        try:
            user = authenticate(request, **given)
        except TooManyAttempts as error:
            throttled = Throttled(wait=error.details["seconds"])
            # Its own sentence says how long, which the framework's would say once more.
            throttled.detail = ErrorDetail(error.message, code="throttled")
            raise throttled from None
        if not isinstance(user, User):
            raise FixRequest("The name or the password is wrong.", code="credentials_wrong")
        login_note(request, user=user, now=clock.now())
        token, _ = Token.objects.get_or_create(user=user)
        return Response({"token": token.key})
