"""Errors: what travels between processes arrives whole, and each says what the caller should do."""

import copy
import inspect
import json
import pickle
from collections.abc import Iterator

import pytest

import app.brokers.errors  # The tree's next branch must survive the journey too.
import app.core.errors
from app.core.errors import AskPerson, Conflict, FixRequest, Forbidden, NotFound, RetryLater, TradingError


def _tree(cls: type[TradingError]) -> Iterator[type[TradingError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)


CLASSES = sorted(
    {cls for cls in _tree(TradingError) if cls.__module__ in {"app.core.errors", "app.brokers.errors"}},
    key=lambda cls: cls.__qualname__,
)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_arrives_whole_in_another_process(cls: type[TradingError], protocol: int) -> None:
    # Given an error with a code and details of its own
    error = cls("The order was refused.", code="margin", details={"broker_code": 201, "order_ref": "k7-1-ENTRY"})

    # When it travels as Celery carries it
    arrived = pickle.loads(pickle.dumps(error, protocol=protocol))  # noqa: S301 - Our own bytes.

    # Then nothing of it is lost
    assert type(arrived) is cls
    assert str(arrived) == arrived.message == "The order was refused."
    assert arrived.code == "margin"
    assert arrived.details == {"broker_code": 201, "order_ref": "k7-1-ENTRY"}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_without_particulars_has_its_classes_code(cls: type[TradingError]) -> None:
    error = copy.copy(cls("Something happened."))
    assert error.code == cls.code
    assert error.details == {}


def test_codes_are_stable_words_and_tell_classes_apart() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(code.isidentifier() and code.islower() for code in codes)


@pytest.mark.parametrize(
    ("cls", "parent", "code"),
    [
        (FixRequest, TradingError, "invalid"),
        (NotFound, FixRequest, "not_found"),
        (Forbidden, FixRequest, "forbidden"),
        (Conflict, FixRequest, "conflict"),
        (RetryLater, TradingError, "unavailable"),
        (AskPerson, TradingError, "needs_attention"),
    ],
)
def test_the_tree_is_split_by_what_the_caller_does(
    cls: type[TradingError], parent: type[TradingError], code: str
) -> None:
    assert cls.__bases__ == (parent,)
    assert cls.code == code


def test_the_docstring_draws_every_class() -> None:
    for module in (app.core.errors, app.brokers.errors):
        drawn = module.__doc__ or ""
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == module.__name__:
                assert name in drawn, name


def test_details_are_a_copy_that_later_changes_do_not_reach() -> None:
    facts = {"quantity": "10"}
    error = FixRequest("No.", details=facts)
    facts["quantity"] = "20"
    assert json.dumps(error.details) == '{"quantity": "10"}'
