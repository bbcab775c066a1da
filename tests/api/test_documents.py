"""docs/api.md and docs/configuration.md say what the code does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app import api
from app.api import exception_handler as handler
from app.api import urls
from app.api.execution_serializers import BracketOutput, ExecutionOutput, FillOutput, OrderOutput
from app.api.setup_serializers import SetupInput
from app.config.variables import VARIABLES
from app.core import errors
from app.domain.command import CommandReason
from app.domain.reasons import FLAGS, REASONS, FlagCode, ReasonCode

APP = Path(api.__file__).parents[1]
ROOT = APP.parents[1]
API = (ROOT / "docs" / "api.md").read_text()
# Everything that can refuse a request.
ANSWERING = [
    *(APP / "api").glob("*.py"),
    *(APP / "domain").glob("*.py"),
    *(APP / "setups").glob("*.py"),
    APP / "accounts" / "selectors.py",
    APP / "accounts" / "kill_switch.py",
    *(APP / "alerts").glob("*.py"),
    APP / "market" / "dispatch.py",
    *(
        APP / "executions" / "services" / f"{name}.py"
        for name in ("plan", "request", "order_room", "cancel", "move", "close_request")
    ),
    *(APP / "executions" / "services").glob("resolve*.py"),
    APP / "executions" / "selectors.py",
]


def documented() -> dict[str, int]:
    """The table of codes: code to status."""
    table = API[API.index("| Code | Status |") :]
    return {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", table, re.MULTILINE)}


def raised() -> Iterator[tuple[str, int]]:
    """Every code that is raised in a call `Kind(..., code="...")`, with the status of its kind."""
    for path in ANSWERING:
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            for keyword in call.keywords:
                if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value), status_of(call.func.id, str(keyword.value.value))


def status_of(kind: str, code: str) -> int:
    if kind == "Problem":
        return 422
    if kind == "ErrorDetail":
        return {"throttled": 429}.get(code, 400)
    if kind == "body":  # Answers made without raising.
        return {"not_found": 404, "method_not_allowed": 405, "internal_error": 500}[code]
    raised_kind = getattr(errors, kind, None)
    assert raised_kind is not None, f"{kind}(code={code!r}): teach this test the status of {kind}"
    return handler.status_of(raised_kind("", code=code))


def answered_by_the_framework() -> Iterator[tuple[str, int]]:
    for kind, code in handler.CODE_OF_EXCEPTION:
        yield code, kind.status_code
    for code in handler.CODE_OF_PROBLEM.values():
        yield code, 400
    yield from [("field_invalid", 400), ("csrf_failed", 403), ("unknown_symbol", 422)]
    yield from [("database_unavailable", 503), ("redis_unavailable", 503)]
    # What is refused before a view, by the front door or by Django.
    yield from [(handler.REQUEST_REFUSED, 400), (handler.BODY_TOO_LARGE, 413)]


def test_the_table_of_codes_is_what_the_code_raises() -> None:
    in_code = dict([*raised(), *answered_by_the_framework()])
    assert documented() == in_code


def test_no_code_is_answered_in_two_ways() -> None:
    pairs = {*raised(), *answered_by_the_framework()}
    assert len({code for code, _ in pairs}) == len(pairs), sorted(pairs)


def test_every_address_is_in_the_document() -> None:
    routes = {str(entry.pattern) for entry in urls.urlpatterns}
    for route in sorted(route for route in routes if route.startswith("v1/") and route.endswith("/")):
        address = "/api/" + route.replace("<int:pk>", "{id}").replace("<int:tranche>", "{tranche}")
        shown = API.replace("$URL", "").replace("DU1234567", "<slug:account_id>")
        shown = shown.replace("{account}", "<slug:account_id>")
        assert address in shown, address
    for address in ("/healthz", "/readyz", "/metrics", "/api/docs/", "/api/schema/"):
        assert address in API


def test_every_field_of_a_setup_is_in_the_document() -> None:
    for name in SetupInput().fields:
        assert f"`{name}`" in API, name


def test_the_example_execution_has_every_field() -> None:
    example = API[API.index('{\n  "id": 2') : API.index("- `reference` is")]
    for serializer in (ExecutionOutput(), BracketOutput(), OrderOutput(), FillOutput()):
        for name in serializer.fields:
            assert f'"{name}":' in example, name


def test_every_reason_is_in_the_document() -> None:
    assert set(REASONS) == set(ReasonCode)
    table = API[API.index("| `reason_code` |") + 20 : API.index("| `code` of a flag |")]
    told = [(code.value, _as_cell(reason.what_to_do)) for code, reason in REASONS.items()]
    assert re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", table, re.MULTILINE) == told
    for reason in REASONS.values():
        assert all(text.endswith(".") for text in (reason.sentence, reason.what_to_do))
        assert not reason.words.endswith(".")


def test_every_flag_is_in_the_document() -> None:
    assert set(FLAGS) == set(FlagCode)
    table = API[API.index("| `code` of a flag |") + 20 : API.index("## Kill switch")]
    told = [(code.value, _as_cell(flag.sentence), _as_cell(flag.what_to_do)) for code, flag in FLAGS.items()]
    assert re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", table, re.MULTILINE) == told
    for flag in FLAGS.values():
        assert all(text.endswith(".") for text in (flag.sentence, flag.what_to_do))


def test_whatever_a_cancel_is_asked_for_has_a_sentence() -> None:
    asked = set(re.findall(r"cancel_reason = CommandReason\.(\w+)", _services()))
    asked |= set(re.findall(r"reason=CommandReason\.(\w+), actor=Actor\.\w+, now=now\)", _services()))
    assert asked >= {"STOP_LOST"}
    assert {CommandReason[name].value for name in asked} <= set(ReasonCode)


def _as_cell(sentence: str) -> str:
    return f"{sentence[0].lower()}{sentence[1:-1]}"


def _services() -> str:
    return "".join(path.read_text() for path in (APP / "executions" / "services").glob("*.py"))


class TestConfiguration:
    """Every variable is read, explained and in the example; nothing else is."""

    def read_by_settings(self) -> set[str]:
        settings = (APP / "config" / "settings.py").read_text()
        used = set(re.findall(r'given\["([A-Z_]+)"\]', settings))
        # The port of the pages is the compose file's alone, which cannot judge it: whatever starts in this clone does.
        assert used | {"WEB_PORT"} == {variable.name for variable in VARIABLES}
        return used

    def read_elsewhere(self) -> set[str]:
        """By the compose file and the commands."""
        compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
        commands = (APP / "api" / "management" / "commands" / "demo_user.py").read_text()
        return compose | set(re.findall(r'environ\.get\("([A-Z_]+)"', commands))

    def explained(self) -> set[str]:
        text = (ROOT / "docs" / "configuration.md").read_text()
        return set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))

    def test_every_variable_is_explained(self) -> None:
        assert self.explained() == self.read_by_settings() | self.read_elsewhere()

    def test_every_variable_is_in_the_example(self) -> None:
        example = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
        assert example == self.explained()

    def test_defaults_are_those_of_the_settings(self) -> None:
        text = (ROOT / "docs" / "configuration.md").read_text()
        shown = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", text, re.MULTILINE))
        found = {variable.name: variable.default for variable in VARIABLES if variable.name in shown}
        assert {name: shown[name] for name in found} == found
        assert set(shown) == set(found)
