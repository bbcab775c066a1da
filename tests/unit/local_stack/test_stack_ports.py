"""Ports: a taken one is named with the option that changes it."""

import errno
import itertools
import socket

import pytest

from local_stack.errors import PortInUseError, PortNotPermittedError, PortTwiceError
from local_stack.options import options_parse
from local_stack.ports import LOOPBACK, port_accepts, port_choose, port_free, port_is_free


def test_zero_takes_a_port_that_can_be_listened_on() -> None:
    port = port_choose(0, option="--port")

    with socket.create_server((LOOPBACK, port)):
        assert port_accepts(port)


def test_a_free_port_asked_for_by_number_is_taken() -> None:
    port = port_free()

    assert port_choose(port, option="--port") == port


def test_no_port_is_given_out_twice_nor_one_that_an_outgoing_connection_may_get() -> None:
    given = [port_free() for _ in range(300)]

    assert len(set(given)) == len(given)
    assert max(given) < 32768


def test_a_port_in_use_is_named_with_its_option() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(
            PortInUseError, match=rf"port {port} is in use: choose another with --simulator-port"
        ) as error:
            port_choose(port, option="--simulator-port")

    assert error.value.exit_code == 2
    assert error.value.code == "port_in_use"


@pytest.mark.case("S35")
def test_a_port_that_this_user_may_not_have_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Root may have every port, so the kernel's refusal is played.
    monkeypatch.setattr(socket.socket, "bind", refuse)

    with pytest.raises(
        PortNotPermittedError, match=r"not permitted to listen on port 80 .* another with --port"
    ) as error:
        port_choose(80, option="--port")

    assert (error.value.code, error.value.exit_code) == ("port_not_permitted", 2)


def test_a_port_is_free_again_once_its_server_is_gone() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((LOOPBACK, port))
        server.accept()[0].close()
        client.close()

    assert port_is_free(port)
    assert not port_accepts(port)


PORT_OPTIONS = ("--port", "--simulator-port", "--simulator-control-port", "--postgres-port", "--redis-port")


@pytest.mark.case("S75")
@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PORT_OPTIONS, 2)))
def test_one_port_for_two_servers_is_refused_at_once_with_both_options(first: str, second: str) -> None:
    with pytest.raises(PortTwiceError) as error:
        options_parse([second, "19001", first, "19001"], {})

    assert str(error.value) == (
        f"{first} and {second} are both 19001: choose another port for one (0 takes any free one)"
    )
    assert (error.value.code, error.value.exit_code) == ("port_twice", 2)


@pytest.mark.case("S75")
def test_a_default_port_counts_where_it_is_used() -> None:
    with pytest.raises(PortTwiceError, match="--port and --simulator-port are both 4002"):
        options_parse(["--port", "4002"], {})
    assert options_parse(["--port", "4002", "--once"], {}).simulator_port == 0
    assert options_parse(["--port", "0", "--simulator-port", "0", "--simulator-control-port", "0"], {}).port == 0


@pytest.mark.case("S75")
@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ("--simulator-port", "IB_HOST"),
        ("--simulator-control-port", "IB_HOST"),
        ("--postgres-port", "DATABASE_URL"),
        ("--redis-port", "REDIS_URL"),
    ],
)
def test_the_port_of_a_server_that_is_not_started_is_nobodys(option: str, variable: str) -> None:
    assert options_parse(["--no-demo", "--port", "19001", option, "19001"], {variable: "elsewhere"}).port == 19001
