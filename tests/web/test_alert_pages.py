"""The alerts' page."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.alerts.kinds import AlertKind
from app.alerts.models import Alert
from app.alerts.services import alert_raise
from app.core import clock
from tests.api.desk import Filled, MakeUser
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
PAGE = "/alerts/"


def html_of(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_owner_of_an_execution_sees_its_alert_and_has_seen_it(
    visit: Client, analyst: User, filled: Filled, make_user: MakeUser
) -> None:
    book = filled(analyst)
    alert = alert_raise(
        kind=AlertKind.ATTENTION, subject="x", text="Odd <b>", execution_id=book.execution_id, now=clock.now()
    )
    page = html_of(visit)
    assert "Odd &lt;b&gt;" in page
    assert f"/executions/{book.execution_id}/" in page
    other = visit_of(make_user("bob", "analyst"))
    assert "Odd" not in html_of(other)
    assert other.post(f"{PAGE}{alert.pk}/seen/").status_code == 404
    assert visit.post(f"{PAGE}{alert.pk}/seen/").status_code == 302
    assert not Alert.objects.get().is_open
    assert "No alert is open." in html_of(visit)


def test_the_systems_alerts_are_seen_by_all_and_ended_by_traders(visit: Client, make_user: MakeUser) -> None:
    alert = alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU1/1", text="No answer.", now=clock.now())
    assert "The Gateway is silent" in html_of(visit)
    assert ">Seen</button>" not in html_of(visit)
    assert visit.post(f"{PAGE}{alert.pk}/seen/").status_code == 403
    trader = visit_of(make_user("tess", "trader"))
    assert ">Seen</button>" in html_of(trader)
    trader.post(f"{PAGE}{alert.pk}/seen/")
    assert "seen by <bdi>tess</bdi>" in html_of(visit)
    assert Client().get(PAGE).status_code == 302
