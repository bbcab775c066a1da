"""What OPTIONS answers: what an address is for, and for each method that takes a body its fields.

REST framework's own describes the output, whose fields are all read-only, because our views name that one.
"""

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request


class InputMetadata(SimpleMetadata):
    """Describes the input of each method, from the serializers that read it: a view's `inputs`."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        """Return what OPTIONS answers."""
        inputs = getattr(view, "inputs", {})
        return {
            "name": view.get_view_name(),
            "description": view.get_view_description(),
            "methods": view.allowed_methods,
            "parses": [parser.media_type for parser in view.parser_classes],
            "actions": {method: self.get_serializer_info(serializer()) for method, serializer in inputs.items()},
        }
