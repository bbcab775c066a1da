"""What is wrong with a plan is said to people: which fields, in whose words, and where to begin."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.accounts.models import Account
from app.market.models import Instrument
from app.setups.models import Setup
from tests.web.page_parts import Element, page_read

pytestmark = [pytest.mark.django_db, pytest.mark.case("A13")]
FORM = {
    "symbol": "aapl",
    "side": "LONG",
    "entry_type": "MARKET",
    "stop_price": "185.00",
    "quantity": "10",
    "time_in_force": "DAY",
    "on_timeout": "CANCEL",
}
HALVES = {"target_1_price": "200", "target_1_percent": "50", "target_2_price": "180", "target_2_percent": "50"}
TWICE = (
    "Give the size once: a quantity, or a risk amount, or a risk in % of the equity. Here are Quantity and Risk amount."
)
SIZES = ["quantity", "risk_amount", "risk_percent"]


def posted(visit: Client, **changed: str) -> Element:
    answer = visit.post("/setups/new/", FORM | changed)
    assert answer.status_code == 422
    return page_read(answer.content).only("form", **{"class": "card plan"})


@pytest.mark.parametrize(
    ("changed", "wrong", "sentence"),
    [
        ({"quantity": ""}, SIZES, "Give the size: a quantity, or a risk amount, or a risk in % of the equity."),
        ({"risk_amount": "5"}, SIZES[:2], TWICE),
        ({"stop_price": "195"}, ["stop_price"], "A LONG stop belongs below its entry: 195.00, entry 190.00."),
        ({"stop_price": "1,234"}, ["stop_price"], "1,234 can mean 1234 or 1.234. Write the one that you mean."),
        (HALVES, ["target_2_price"],
         "A LONG target belongs above its entry: 180.00, entry 190.00."),
        ({"target_2_percent": "50"}, ["target_2_price"], "This target has a percentage but no price."),
        ({"entry_type": "LIMIT"}, ["entry_price"], "A limit entry needs the field “Entry price”."),
        ({"quantity": "1.000"}, ["quantity"], "1.000 can mean 1000 or 1.000. Write it without the point."),
    ],
)  # fmt: skip
def test_every_field_of_an_error_is_marked_and_described(
    visit: Client, account: Account, apple: Instrument, changed: dict[str, str], wrong: list[str], sentence: str
) -> None:
    form = posted(visit, **changed)
    marked = form.all("input", aria_invalid="true")
    assert [one.attributes["name"] for one in marked] == wrong
    for one in marked:
        described = str(one.attributes["aria-describedby"]).split()
        assert sentence in [form.only("ul", id=name).text for name in described if name.endswith("_error")]
    # The focus is where to begin, and nowhere else
    assert [one.attributes["name"] for one in form.all("input", autofocus=True)] == wrong[:1]
    # What was typed is still there, and no code is shown
    for name, text in changed.items():
        if name != "entry_type":
            assert (form.only("input", name=name).attributes.get("value") or "") == text
    assert "_" not in form.text
    assert not Setup.objects.exists()


def test_a_decimal_comma_is_a_decimal_comma(visit: Client, account: Account, apple: Instrument) -> None:
    answer = visit.post("/setups/new/", FORM | {"stop_price": "180,50", "target_1_price": "200,25"})
    assert answer.status_code == 302
    setup = Setup.objects.get()
    assert (str(setup.stop_price.normalize()), str(setup.take_profits.get().price.normalize())) == ("180.5", "200.25")


def test_a_new_form_begins_at_the_symbol(visit: Client, analyst: User) -> None:
    form = page_read(visit.get("/setups/new/").content)
    assert [one.attributes["name"] for one in form.all("input", autofocus=True)] == ["symbol"]
