"""The OpenAPI description, and the page to read and try it on. They refuse in JSON, as the whole API does."""

from typing import Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from app.api.strict_input import StrictInput, StrictQuery


class _RefusesInJson(StrictQuery):
    """A view that answers in YAML or HTML, but not when it refuses."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Return the answer with how it is written."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        if finalized.exception or request.method == "OPTIONS":
            finalized.accepted_renderer = JSONRenderer()
            finalized.accepted_media_type = JSONRenderer.media_type
        return finalized


class Description(_RefusesInJson, SpectacularAPIView):
    """The OpenAPI description: one version, in one language."""


class DescriptionParts(StrictInput):
    """What of the page is wanted."""

    script = serializers.CharField(required=False, allow_blank=True)


class DescriptionPage(_RefusesInJson, SpectacularSwaggerSplitView):
    """The page, made from the description. With `?script` it is the script that begins it, which may not be inline."""

    filters = DescriptionParts
    template_name = "api/docs.html"
