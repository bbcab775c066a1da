"""A body or a query that could mean two things, or nothing, is refused: with a code, and never with a 5xx."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.api.json_parser import DEPTH_MAX
from app.executions.models import Execution
from app.market.models import Instrument
from app.setups.models import Setup
from tests.api.desk import MakeSetup, MakeUser, script
from tests.api.test_errors import assert_error

pytestmark = pytest.mark.django_db
SETUPS = "/api/v1/setups/"
TOKEN = "/api/v1/token/"
KILL_SWITCH = "/api/v1/kill-switch/"
LIST_ADDRESSES = [SETUPS, "/api/v1/executions/", "/api/v1/alerts/", "/api/v1/accounts/"]


def plan(**changed: str) -> str:
    """A setup as JSON text; a changed value is JSON text too."""
    fields = {
        "symbol": '"AAPL"',
        "side": '"LONG"',
        "entry_type": '"MARKET"',
        "stop_price": '"185.00"',
        "quantity": '"10"',
        **changed,
    }
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def post(client: APIClient, address: str, text: str | bytes) -> Any:
    client.raise_request_exception = False
    return client.post(address, text, content_type="application/json")


@pytest.mark.case("S14")
class TestWhatIsNoRequest:
    @pytest.mark.parametrize("address", [SETUPS, TOKEN, KILL_SWITCH])
    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"a":' * 100_000,
            "[" * 900 + "]" * 900,
            '{"symbol":' + "[" * DEPTH_MAX + "]" * DEPTH_MAX + "}",
            '{"stop_price":' + "9" * 10_000 + "}",
            '{"stop_price":1e' + "9" * 100 + "}",
            '{"stop_price":1e99999999999999999999}',
            '{"stop_price":NaN}',
            '{"stop_price":-Infinity}',
            '"\ufeff{}"'[1:-1],
            '{"symbol":"AAPL"}{}',
            b"\xff\xfe{\x00}\x00",
            b'{"symbol":"\xed\xa0\x80"}',
        ],
        ids=lambda text: repr(text)[:30],
    )
    def test_it_is_malformed(self, api: APIClient, address: str, text: str | bytes) -> None:
        client = APIClient() if address == TOKEN else script(User.objects.create_superuser("root"))
        assert_error(post(client, address, text), 400, "json_malformed")

    @pytest.mark.parametrize("address", [SETUPS, TOKEN, KILL_SWITCH])
    @pytest.mark.parametrize("text", [r'{"\ud800":1}', r'{"a":{"\udfff":1}}', r'{"a":["\ud800"]}', r'{"\u0000":1}'])
    def test_a_key_or_value_that_is_no_text_is_named(self, account: Account, address: str, text: str) -> None:
        client = APIClient() if address == TOKEN else script(User.objects.create_superuser("root"))
        error = assert_error(post(client, address, text), 400, "text_invalid")
        assert error["details"]["problems"][0]["field"]

    @pytest.mark.parametrize("name", [r"\ud800", r"ada\u0000", r"\udfff\udfff"])
    def test_a_name_that_is_no_text_is_nobodys(self, db: None, name: str) -> None:
        text = f'{{"username":"{name}","password":"x"}}'
        assert_error(post(APIClient(), TOKEN, text), 400, "text_invalid")

    def test_a_whole_pair_of_surrogates_is_a_character(self, api: APIClient, apple: Instrument) -> None:
        answer = post(api, SETUPS, plan(notes=r'"\ud83d\ude00"'))
        assert (answer.status_code, answer.json()["notes"]) == (201, "\U0001f600")

    def test_nothing_of_it_is_believed_under_a_known_key_either(self, api: APIClient, analyst: User) -> None:
        api.raise_request_exception = False
        address = f"{SETUPS}1/execute/"
        answer = api.post(address, r'{"\ud800":1}', content_type="application/json", headers={"Idempotency-Key": "a"})
        assert answer.status_code in (400, 404)

    def test_a_long_key_is_told_shortly(self, api: APIClient) -> None:
        error = assert_error(post(api, SETUPS, json.dumps({"x" * 100_000: 1})), 400, "unknown_field")
        assert len(json.dumps(error)) < 2000

    def test_a_form_where_json_is_read_is_no_failure(self, analyst: User) -> None:
        browser = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
        browser.force_login(analyst)
        for kind in ("multipart/form-data", "multipart/form-data; boundary=\x01", "multipart/form-data; boundary=a"):
            answer = browser.post(SETUPS, b"--a\r\n\x00\xff", content_type=kind)
            assert answer.status_code in (400, 403, 415), answer.content

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        text=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
    )
    def test_no_bytes_are_a_failure(self, api: APIClient, text: bytes) -> None:
        assert 400 <= post(api, SETUPS, text).status_code < 500

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_no_value_of_a_field_is_a_failure(self, api: APIClient, apple: Instrument, data: st.DataObject) -> None:
        anything = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3),
        )
        fields = ["symbol", "side", "entry_type", "stop_price", "quantity", "notes", "tags", "take_profits", "account"]
        changed = data.draw(st.dictionaries(st.sampled_from(fields), anything, max_size=4))
        assert post(api, SETUPS, plan(**{name: json.dumps(value) for name, value in changed.items()})).status_code < 500


@pytest.mark.case("S26")
class TestStrictness:
    @pytest.mark.parametrize("address", LIST_ADDRESSES)
    @pytest.mark.parametrize(
        "size", ["abc", "null", "0", "-1", "201", "100000", "", "５", "1.0", "1e1", "+5", " 5", "9" * 5000]
    )
    def test_a_size_of_a_page_that_is_none(self, api: APIClient, address: str, size: str) -> None:
        assert_error(api.get(address, {"page_size": size}), 400, "page_size_invalid")

    @pytest.mark.parametrize("size", ["1", "50", "200"])
    def test_a_size_of_a_page(self, api: APIClient, size: str) -> None:
        assert api.get(SETUPS, {"page_size": size}).status_code == 200

    @pytest.mark.parametrize(
        "text",
        [
            '{"stop_price":"185.00","stop_price":"18.50"}',
            '{"symbol":"AAPL","take_profits":[{"price":"1","price":"2"}]}',
            r'{"symbol":"AAPL","\u0073ymbol":"MSFT"}',
        ],
    )
    def test_a_key_that_stands_twice(self, api: APIClient, text: str) -> None:
        assert_error(post(api, SETUPS, text), 400, "json_key_repeated")

    @pytest.mark.parametrize(
        "written",
        [
            "1E+2",
            "1e2",
            "1_000",
            "+100",
            " 100",
            "100 ",
            "100\n",
            "１００",
            "١٠٠",
            "0x10",
            "1,5",
            ".5",
            "5.",
            "",
            "Infinity",
            "-",
            "--1",
        ],
    )
    @pytest.mark.parametrize("field", ["stop_price", "quantity", "risk_amount", "risk_percent"])
    def test_a_number_that_is_not_written_plainly(self, api: APIClient, field: str, written: str) -> None:
        error = post(api, SETUPS, plan(**{field: json.dumps(written)})).json()
        assert (error["details"]["problems"][0]["field"], error["code"]) in [
            (field, "field_invalid"),
            (field, "field_required"),
        ]

    @pytest.mark.parametrize("field", ["stop_price", "quantity"])
    @pytest.mark.parametrize("written", ["true", "[1]", "{}", '{"a":1}', "1E+2", "1e400"])
    def test_json_that_is_no_plain_number(self, api: APIClient, field: str, written: str) -> None:
        error = post(api, SETUPS, plan(**{field: written})).json()
        assert (error["details"]["problems"][0]["field"], error["code"]) == (field, "field_invalid")

    def test_a_json_number_keeps_its_digits(self, api: APIClient, apple: Instrument) -> None:
        refused = post(api, SETUPS, plan(stop_price="185.10000000000000000001"))
        assert_error(refused, 400, "value_too_long")
        kept = post(api, SETUPS, plan(stop_price="185.10", quantity="7"))
        assert (kept.status_code, kept.json()["stop_price"], kept.json()["quantity"]) == (201, "185.10", "7")

    @pytest.mark.parametrize(
        ("field", "written"),
        [
            ("outside_rth", '"off"'),
            ("outside_rth", '"true"'),
            ("outside_rth", "1"),
            ("outside_rth", "0"),
            ("notes", "0"),
            ("notes", "1.5"),
            ("notes", "true"),
            ("symbol", "7"),
            ("account", "1"),
            ("side", "1"),
            ("side", "[]"),
            ("side", "true"),
            ("tags", "[1]"),
            ("tags", '"a"'),
            ("tags", "{}"),
            ("entry_timeout_seconds", '"60"'),
            ("entry_timeout_seconds", "60.0"),
            ("entry_timeout_seconds", "true"),
        ],
    )
    def test_a_value_of_another_type(self, api: APIClient, apple: Instrument, field: str, written: str) -> None:
        answer = post(api, SETUPS, plan(**{field: written}))
        assert answer.status_code == 400, answer.json()
        assert answer.json()["details"]["problems"][0]["field"].startswith(field)
        assert not Setup.objects.exists()

    @pytest.mark.parametrize(
        "text", ['{"reason":0}', '{"reason":true}', '{"reason":"x","flatten":"no"}', '{"reason":"x","flatten":0}']
    )
    def test_the_kill_switch_guesses_nothing(self, account: Account, text: str) -> None:
        root = script(User.objects.create_superuser("root"))
        assert_error(post(root, KILL_SWITCH, text), 400, "field_invalid")
        assert root.get(KILL_SWITCH).json()["engaged"] is False

    @pytest.mark.parametrize("text", ['{"username":1,"password":"x"}', '{"username":"ada","password":1}'])
    def test_a_name_is_a_text(self, db: None, text: str) -> None:
        assert_error(post(APIClient(), TOKEN, text), 400, "field_invalid")

    @pytest.mark.parametrize(
        "query",
        [
            "executions/?attention=1",
            "executions/?attention=on",
            "alerts/?open=yes",
            "executions/?setup=１",
            "executions/?setup=1.0",
            "executions/?date_from=2026",
            "executions/?date_from=２０２６-01-01",
            "setups/?created_to=1e3",
            "executions/?setup=" + "9" * 19,
        ],
    )
    def test_a_filter_is_spelled_in_one_way(self, api: APIClient, query: str) -> None:
        answer = api.get(f"/api/v1/{query}")
        assert answer.status_code == 400, answer.json()

    @pytest.mark.parametrize(
        "query",
        [
            "executions/?attention=true",
            "alerts/?open=false",
            "executions/?setup=1",
            "executions/?date_from=2026-11-20",
            "setups/?created_to=2026-11-20T14:30:00Z",
            "setups/?created_from=2026-11-20T14:30",
        ],
    )
    def test_that_way_is_read(self, api: APIClient, query: str) -> None:
        assert api.get(f"/api/v1/{query}").status_code == 200

    @pytest.mark.parametrize("query", ["symbol=AAPL&symbol=MSFT", "page_size=5&page_size=7", "cursor=a&cursor=b"])
    def test_a_parameter_that_stands_twice(self, api: APIClient, query: str) -> None:
        assert_error(api.get(f"{SETUPS}?{query}"), 400, "parameter_repeated")

    def test_an_unknown_parameter_is_named_wherever_it_stands(
        self, analyst: User, make_setup: MakeSetup, make_user: MakeUser
    ) -> None:
        setup, api = make_setup(analyst), script(analyst)
        reading = [*LIST_ADDRESSES, f"{SETUPS}{setup.pk}/", "/api/v1/accounts/DU1234567/", KILL_SWITCH, "/api/schema/"]
        writing = [SETUPS, f"{SETUPS}{setup.pk}/archive/", f"{SETUPS}{setup.pk}/execute/", TOKEN]
        for method, address in [*(("GET", each) for each in reading), *(("POST", each) for each in writing)]:
            answer = api.generic(method, f"{address}?dry_run=1", "{}" if method == "POST" else "", "application/json")
            error = assert_error(answer, 400, "unknown_field")
            assert [problem["field"] for problem in error["details"]["problems"]] == ["dry_run"], address
        setup.refresh_from_db()
        assert setup.archived_at is None


BODIES_THAT_ARE_NOT_EMPTY = [
    ('{"x": 1}', "unknown_field"),
    ("[]", "body_not_object"),
    ("null", "body_not_object"),
    ("1", "body_not_object"),
    ("{", "json_malformed"),
]


@pytest.mark.parametrize(("text", "code"), BODIES_THAT_ARE_NOT_EMPTY)
class TestBodyWhereNoneIsTaken:
    @pytest.mark.parametrize("what", ["archive/", "restore/", ""])
    def test_nothing_is_done_with_a_setup(
        self, api: APIClient, analyst: User, make_setup: MakeSetup, what: str, text: str, code: str
    ) -> None:
        setup = make_setup(analyst)
        send = api.post if what else api.delete
        answer = send(f"/api/v1/setups/{setup.pk}/{what}", text, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        setup.refresh_from_db()
        assert (setup.revision, setup.archived_at) == (1, None)

    def test_nothing_is_cancelled(
        self, api: APIClient, analyst: User, requested: Callable[..., Execution], text: str, code: str
    ) -> None:
        execution = requested(analyst)
        answer = post(api, f"/api/v1/executions/{execution.pk}/cancel/", text)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        execution.refresh_from_db()
        assert execution.cancel_requested_at is None

    def test_a_method_that_is_not_taken_is_still_that(self, api: APIClient, text: str, code: str) -> None:
        answer = api.put("/api/v1/setups/", text, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("body", ["", "{}"])
def test_an_empty_body_is_taken_where_none_is_needed(
    api: APIClient, analyst: User, make_setup: MakeSetup, body: str
) -> None:
    address = f"/api/v1/setups/{make_setup(analyst).pk}/"
    for what in ("archive/", "restore/"):
        assert post(api, address + what, body).status_code == 200
    assert api.delete(address, body, content_type="application/json").status_code == 204


@pytest.mark.case("S43")
@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("seen", {"through": "1"}, "field_invalid"),
        ("seen", {"through": 1.0}, "field_invalid"),
        ("seen", {"through": True}, "field_invalid"),
        ("resolve", {"act": "not_ours", "dry_run": "off"}, "field_invalid"),
        ("resolve", {"act": "not_ours", "dry_run": 1}, "field_invalid"),
        ("resolve", {"act": True}, "choice_unknown"),
    ],
)
def test_what_is_said_of_an_execution_has_its_type(
    api: APIClient, analyst: User, requested: Any, what: str, body: dict[str, Any], code: str
) -> None:
    answer = api.post(f"/api/v1/executions/{requested(analyst).pk}/{what}/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
