"""Tests with client libraries that are installed for them run only when asked for: `./scripts/test -m clients`."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "clients: drives a client library in an environment of its own; needs a network")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out (they count as deselected, not as passed) unless the mark expression names them."""
    if "clients" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("clients") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
