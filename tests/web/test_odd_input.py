"""Forms and addresses of the pages with what no browser sends: the sender's mistake, never a failure of ours."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.desk import Filled

pytestmark = [pytest.mark.django_db, pytest.mark.case("S14")]
FORM = "application/x-www-form-urlencoded"
PAGES = ["/login/", "/admin/login/", "/setups/new/", "/kill-switch/engage/", "/kill-switch/release/"]
MODELS = ["executions/execution", "executions/order", "executions/fill", "executions/brokerevent", "setups/setup"]
MODELS += ["accounts/account", "accounts/killswitch", "alerts/alert", "auth/user", "authtoken/tokenproxy"]


@pytest.fixture
def root(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (FORM, b"symbol=%00&username=%00&password=%00&reason=%00&account=%00&confirmed=on&entry_price=%00"),
        (FORM, b"symbol=%ed%a0%80&username=%ed%a0%80&reason=%ff&password=x&account=%ff"),
        (FORM, b"\xff\xfe=\x00&username=\xff"),
        (FORM, b"account=99999999999999999999&reason=x&confirmed=on"),
        (FORM, b"&".join(b"a%d=1" % number for number in range(2000))),
        (FORM + "; charset=utf-16", b"a=1"),
        ("multipart/form-data", b"--a"),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="reason"\r\n\r\n\x00\r\n--a--',
        ),
        ("multipart/form-data; boundary=a", b'--a\r\nContent-Disposition: form-data; name="\x00"; filename="\xff"'),
        ("application/json", b"{"),
    ],
    ids=range(10),
)
def test_an_odd_form_is_the_senders_mistake(root: Client, page: str, kind: str, content: bytes) -> None:
    answer = root.post(page, content, content_type=kind)
    assert answer.status_code < 500, answer.content[:500]


@pytest.mark.parametrize(
    "query",
    [
        *(f"{name}={text}" for name in ("before", "after", "copy") for text in ("abc", "-1", "１", "²")),
        # Python itself reads no number of so many digits.
        *(f"{name}={'9' * digits}" for name in ("before", "after", "copy") for digits in (400, 5000)),
        "symbol=" + "x" * 5000,
    ],
    ids=lambda query: str(query)[:20] + str(len(query)),
)
@pytest.mark.parametrize("page", ["/setups/", "/executions/", "/setups/new/"])
def test_an_odd_query_is_no_failure(root: Client, page: str, query: str) -> None:
    assert root.get(f"{page}?{query}").status_code < 500


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "query",
    [
        "status=x",
        "pk__in=a",
        "id__exact=" + "9" * 40,
        "p=99999",
        "p=x",
        "o=9.-9.x",
        "q=" + "x" * 3000,
        "e=1",
        "received_at__gte=x",
        "password__startswith=a",
        "all=",
        "_popup=x",
        "q=%22",
        "id__in=1,,2",
        "_facets=x",
    ],
)
def test_an_odd_list_of_the_admin_is_no_failure(root: Client, model: str, query: str) -> None:
    assert root.get(f"/admin/{model}/?{query}").status_code < 500


@pytest.mark.parametrize("model", MODELS)
def test_an_odd_act_of_the_admin_is_no_failure(root: Client, analyst: User, filled: Filled, model: str) -> None:
    filled(analyst)
    for chosen in ("x", "9" * 40, "", "1.5", "-1"):
        for action in ("delete_selected", "no_such", "", "engage", "kill_switch_engage"):
            form = {"action": action, "_selected_action": chosen, "index": chosen, "select_across": chosen}
            assert root.post(f"/admin/{model}/", form).status_code < 500, (action, chosen)
    for key in ("x", "9" * 40, "_5F", "1_20"):
        assert root.get(f"/admin/{model}/{key}/change/").status_code < 500, key


@pytest.mark.parametrize("act", ["execute", "archive"])
def test_an_odd_key_of_a_request_is_no_failure(root: Client, act: str) -> None:
    for key in ("\x00", "x" * 5000, "", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")):
        assert root.post(f"/setups/1/{act}/", {"idempotency_key": key}).status_code < 500
