"""Settings from the environment, and the factory that makes brokers of them."""

import pytest

from app.brokers.base import ConnectionState
from app.brokers.factory import get_broker, get_data_provider
from app.brokers.ib import IBBroker, IBDataProvider, IBSettings
from app.brokers.registry import BROKER_TYPES, adapter
from app.core.errors import FixRequest


def ignore(*_: object) -> None:
    pass


def test_an_empty_environment_means_a_paper_gateway_on_this_machine() -> None:
    settings = IBSettings.from_environment(environment={"IB_PORT": "", "IB_ACCOUNT": ""})
    assert settings == IBSettings()
    assert (settings.host, settings.port, settings.client_id, settings.trading_mode) == ("127.0.0.1", 4002, 1, "paper")
    assert settings.messages_per_second == 45


def test_the_environment_is_read() -> None:
    settings = IBSettings.from_environment(
        environment={
            "IB_HOST": "gateway",
            "IB_PORT": "7497",
            "IB_CLIENT_ID": "12",
            "IB_ACCOUNT": "U1",
            "IB_TRADING_MODE": "live",
            "IB_MESSAGES_PER_SECOND": "40",
        }
    )
    assert settings == IBSettings(
        host="gateway",
        port=7497,
        client_id=12,
        account="U1",
        trading_mode="live",
        messages_per_second=40,
    )


def test_the_data_connection_has_a_client_id_of_its_own() -> None:
    assert IBSettings.from_environment(client_id_variable="IB_DATA_CLIENT_ID", environment={}).client_id == 2
    given = {"IB_CLIENT_ID": "5", "IB_DATA_CLIENT_ID": "6"}
    assert IBSettings.from_environment(client_id_variable="IB_DATA_CLIENT_ID", environment=given).client_id == 6


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"IB_PORT": "four"}, "setting_not_a_number"),
        ({"IB_CLIENT_ID": "1.5"}, "setting_not_a_number"),
        ({"IB_TRADING_MODE": "real"}, "trading_mode_unknown"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], code: str) -> None:
    with pytest.raises(FixRequest) as raised:
        IBSettings.from_environment(environment=environment)
    assert raised.value.code == code


def test_the_factory_makes_every_type_there_is() -> None:
    for broker_type in BROKER_TYPES:
        broker = get_broker(IBSettings(), broker_type=broker_type, on_event=ignore, on_state=ignore)
        data = get_data_provider(IBSettings(client_id=2), broker_type=broker_type)
        assert isinstance(broker, adapter(broker_type).broker)
        assert broker.state is ConnectionState.DISCONNECTED
        assert not data.is_connected


@pytest.mark.case("S1")
@pytest.mark.parametrize("unknown", ["paper", "alpaca", "IB", ""])
def test_the_factory_makes_nothing_of_another_name(unknown: str) -> None:
    with pytest.raises(FixRequest) as no_broker:
        get_broker(IBSettings(), broker_type=unknown, on_event=ignore, on_state=ignore)
    with pytest.raises(FixRequest) as no_data:
        get_data_provider(IBSettings(client_id=2), broker_type=unknown)
    assert no_broker.value.code == no_data.value.code == "broker_type_unknown"


def test_brokers_take_their_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "4999")
    monkeypatch.setenv("IB_CLIENT_ID", "31")
    monkeypatch.setenv("IB_DATA_CLIENT_ID", "32")
    assert (IBBroker().settings.port, IBBroker().settings.client_id) == (4999, 31)
    assert IBDataProvider().settings.client_id == 32
