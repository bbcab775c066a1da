"""ETag and If-Match: a script says which plan it means."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from app.api import setup_views
from app.executions.models import Execution
from app.setups.models import Setup
from tests.api.desk import Filled, MakeSetup, MakeUser

pytestmark = [pytest.mark.django_db, pytest.mark.case("S2")]
URL = "/api/v1/setups/"


def test_every_answer_about_a_setup_names_its_revision(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    plan = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "185.00", "quantity": "10"}
    created = api.post(URL, plan)
    assert (revision_in(created["ETag"]), created.json()["revision"]) == (1, 1)
    url = created["Location"]
    assert api.get(url)["ETag"] == created["ETag"]
    changed = api.patch(url, {"quantity": "20", "take_profits": [{"price": "200.00"}]})
    assert (revision_in(changed["ETag"]), changed.json()["revision"]) == (2, 2)
    assert api.get(URL).json()["results"][0]["revision"] == 2
    archived = api.post(url + "archive/")
    assert (revision_in(archived["ETag"]), archived.json()["state"]) == (3, "ARCHIVED")
    restored = api.post(url + "restore/")
    assert (revision_in(restored["ETag"]), restored.json()["state"]) == (4, "DRAFT")


def revision_in(tag: str) -> int:
    named = re.fullmatch(r'"([1-9][0-9]*)-[0-9a-f]{16}"', tag)
    assert named, tag
    return int(named[1])


def asked(api: APIClient, url: str, what: str, if_match: str) -> Any:
    headers = {"If-Match": if_match, "Idempotency-Key": f"key {if_match}"[:200].encode("ascii", "replace").decode()}
    if what == "patch":
        return api.patch(url, {"quantity": "20"}, headers=headers)
    if what == "delete":
        return api.delete(url, headers=headers)
    return api.post(f"{url}{what}/", headers=headers)


REQUESTS = ["patch", "delete", "archive", "execute"]


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize(
    "if_match", ['"1"', 'W/"2"', '"2 "', '"02"', '"abc"', '""', '"1", "3"', 'W/"2", "3"', '"9999999999"']
)
def test_what_was_not_read_is_refused(
    api: APIClient, analyst: User, make_setup: MakeSetup, what: str, if_match: str
) -> None:
    setup = make_setup(analyst)
    url = f"{URL}{setup.pk}/"
    api.patch(url, {"stop_price": "10.00"})
    answer = asked(api, url, what, if_match)
    if if_match == '"2 "':  # A space is no character of a tag.
        assert (answer.status_code, answer.json()["code"]) == (400, "if_match_invalid")
    else:
        assert (answer.status_code, answer.json()["code"]) == (412, "revision_changed"), answer.json()
        assert answer.json()["details"]["revision"] == 2
    assert not Execution.objects.exists()
    after = Setup.objects.get(pk=setup.pk)
    assert (after.revision, str(after.quantity.normalize()), after.archived_at) == (2, "1E+1", None)


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("if_match", ['"1"', "*", ' "7" ,, "1",', 'W/"1","1"'])
def test_what_was_read_is_carried_out(
    api: APIClient, analyst: User, make_setup: MakeSetup, what: str, if_match: str
) -> None:
    answer = asked(api, f"{URL}{make_setup(analyst).pk}/", what, if_match)
    assert answer.status_code in (200, 202, 204), answer.json()


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("if_match", ["1", "", ",", "nonsense", '"1', '1"', '*, "1"', '"1" "2"', 'w/"1"', "W/1", "**"])
def test_nonsense_is_refused_and_not_ignored(
    api: APIClient, analyst: User, make_setup: MakeSetup, what: str, if_match: str
) -> None:
    setup = make_setup(analyst)
    answer = asked(api, f"{URL}{setup.pk}/", what, if_match)
    assert (answer.status_code, answer.json()["code"]) == (400, "if_match_invalid")
    assert (Setup.objects.get(pk=setup.pk).revision, Execution.objects.count()) == (1, 0)


@pytest.mark.case("S43")
def test_the_tag_of_an_answer_is_sent_back_as_it_is(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    url = f"{URL}{make_setup(analyst).pk}/"
    read = api.get(url)["ETag"]
    changed = api.patch(url, {"quantity": "20"}, headers={"If-Match": read})
    assert changed.status_code == 200
    assert api.patch(url, {"quantity": "30"}, headers={"If-Match": read}).status_code == 412
    executed = api.post(f"{url}execute/", headers={"If-Match": changed["ETag"], "Idempotency-Key": "one"})
    assert executed.status_code == 202
    assert api.get(url)["ETag"] != changed["ETag"], "the answer says that it was executed"
    again = api.post(f"{url}archive/", headers={"If-Match": changed["ETag"]})
    assert again.status_code == 200, "the plan is the one that was read"


@pytest.mark.case("S43")
def test_a_setup_is_read_again_only_where_its_answer_changed(
    api: APIClient, analyst: User, make_setup: MakeSetup
) -> None:
    setup = make_setup(analyst)
    url = f"{URL}{setup.pk}/"
    tag = api.get(url)["ETag"]
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = api.get(url, headers={"If-None-Match": given})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    assert api.get(url, headers={"If-None-Match": '"1"'}).status_code == 200, "the revision alone promises less"
    api.post(f"{url}execute/", headers={"Idempotency-Key": "one"})
    executed = api.get(url, headers={"If-None-Match": tag})
    assert (executed.status_code, executed.json()["state"], executed.json()["revision"]) == (200, "EXECUTED", 1)


@pytest.mark.case("S43")
@pytest.mark.parametrize("what", ["patch", "archive", "restore"])
def test_an_answer_is_about_what_its_own_request_wrote(
    api: APIClient, analyst: User, make_setup: MakeSetup, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Given somebody who writes right after it, then the answer names the revision of its own change."""
    setup = make_setup(analyst)
    url = f"{URL}{setup.pk}/"
    if what == "restore":
        api.post(f"{url}archive/")
    name = {"patch": "plan_change", "archive": "setup_archive", "restore": "setup_restore"}[what]
    write = getattr(setup_views, name)

    def overtaken(**given: Any) -> Setup:
        written: Setup = write(**given)
        Setup.objects.filter(pk=setup.pk).update(notes="somebody else's", quantity=77)
        return written

    monkeypatch.setattr(setup_views, name, overtaken)
    answer = asked(api, url, what, "*")
    own = 3 if what == "restore" else 2
    assert (revision_in(answer["ETag"]), answer.json()["revision"], answer.json()["notes"]) == (own, own, "")
    assert answer.json()["quantity"] == ("20" if what == "patch" else "10")
    assert api.get(url).json()["revision"] == own + 1


UNCONDITIONAL = {
    "a new setup": f"{URL}",
    "seen": "/api/v1/executions/{execution}/seen/",
    "resolve": "/api/v1/executions/{execution}/resolve/",
    "an alert": "/api/v1/alerts/1/acknowledge/",
    "a release": "/api/v1/kill-switch/release/",
    "an account's release": "/api/v1/accounts/{account}/kill-switch/release/",
    "a token": "/api/v1/token/",
}


@pytest.mark.case("S43")
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
@pytest.mark.parametrize("what", UNCONDITIONAL)
def test_a_condition_is_refused_where_nothing_is_written_on_one(
    api: APIClient, analyst: User, requested: Any, what: str, header: str
) -> None:
    execution = requested(analyst)
    url = UNCONDITIONAL[what].format(execution=execution.pk, account=execution.account.account_id)
    answer = api.post(url, {}, headers={header: "*"})
    assert (answer.status_code, answer.json()["code"]) == (400, "precondition_unknown"), answer.json()


@pytest.mark.case("S43")
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
def test_no_condition_keeps_trading_from_being_stopped(
    api: APIClient, make_user: MakeUser, analyst: User, requested: Any, header: str
) -> None:
    execution = requested(analyst)
    cancelled = api.post(f"/api/v1/executions/{execution.pk}/cancel/", headers={header: "nonsense"})
    assert cancelled.status_code == 202
    trader = APIClient()
    trader.force_authenticate(make_user("tess", "trader"))
    for url in (f"/api/v1/accounts/{execution.account.account_id}/kill-switch/", "/api/v1/kill-switch/"):
        assert trader.post(url, {"reason": "stop"}, format="json", headers={header: "nonsense"}).status_code == 200


@pytest.mark.parametrize("header", ["If-None-Match", "If-Unmodified-Since"])
def test_another_precondition_is_refused_as_well(
    api: APIClient, analyst: User, make_setup: MakeSetup, header: str
) -> None:
    url = f"{URL}{make_setup(analyst).pk}/"
    answer = api.patch(url, {"quantity": "20"}, headers={header: "*"})
    assert (answer.status_code, answer.json()["code"]) == (400, "precondition_unknown")


def test_a_retry_gets_its_replay_after_the_plan_moved(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    url = f"{URL}{make_setup(analyst).pk}/"
    headers = {"If-Match": '"1"', "Idempotency-Key": "once"}
    first = api.post(url + "execute/", headers=headers)
    api.post(url + "archive/")
    again = api.post(url + "execute/", headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert Execution.objects.count() == 1


@pytest.mark.parametrize("odd", [{"If-Match": "garbage"}, {"If-None-Match": "*"}, {"If-Unmodified-Since": "x"}])
def test_a_known_key_is_answered_before_its_preconditions_are_read(
    api: APIClient, analyst: User, make_setup: MakeSetup, odd: dict[str, str]
) -> None:
    url = f"{URL}{make_setup(analyst).pk}/execute/"
    first = api.post(url, headers={"Idempotency-Key": "once"})
    again = api.post(url, headers={"Idempotency-Key": "once", **odd})
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert api.post(url, headers={"Idempotency-Key": "another", **odd}).status_code == 400


def test_an_execution_is_read_again_only_where_it_changed(api: APIClient, analyst: User, filled: Filled) -> None:
    execution = filled(analyst).execution
    url = f"/api/v1/executions/{execution.pk}/"
    tag = api.get(url)["ETag"]
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = api.get(url, headers={"If-None-Match": given})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    assert api.get(url, headers={"If-None-Match": '"x"'}).status_code == 200
    Execution.objects.filter(pk=execution.pk).update(attention="look")
    changed = api.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed["ETag"] != tag
