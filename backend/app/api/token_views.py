"""A token for scripts, in exchange for a user's name and password."""

from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle

from app.api.schema import ERRORS
from app.api.strict_fields import StrictText
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core.errors import FixRequest


class TokenInput(StrictInput):
    """Who asks."""

    username = StrictText(max_length=150)
    password = StrictText(max_length=1024, trim_whitespace=False)


class TokenOutput(serializers.Serializer[Any]):
    """Send it as `Authorization: Token <token>`."""

    token = serializers.CharField()


class _PerMinute(SimpleRateThrottle):
    """Passwords are not guessed here: ten attempts a minute, by address and by name."""

    rate = "10/min"


class AttemptsByAddress(_PerMinute):
    scope = "token_address"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count by the client's address."""
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class AttemptsByName(_PerMinute):
    scope = "token_name"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """Count by the name that is tried."""
        name = request.data.get("username") if isinstance(request.data, dict) else None
        return self.cache_format % {"scope": self.scope, "ident": str(name)[:150]} if name else None


class TokenView(StrictQuery):
    """Tokens."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes = [AttemptsByAddress, AttemptsByName]

    @extend_schema(operation_id="token_create", request=TokenInput, responses={200: TokenOutput, **ERRORS}, auth=[])
    def post(self, request: Request) -> Response:
        """Return the user's token, made at the first time."""
        given = body_read(TokenInput(data=request.data))
        user = authenticate(request, **given)
        if user is None:
            raise FixRequest("The name or the password is wrong.", code="credentials_wrong")
        token, _ = Token.objects.get_or_create(user=user)
        return Response({"token": token.key})
