"""Which TCP ports on loopback are free.

A port asked for by number and taken is the user's to solve, so the message names its option.
"""

import errno
import random
import socket

from local_stack.errors import PortInUseError, PortNotPermittedError

LOOPBACK = "127.0.0.1"
# Below those that systems give to outgoing connections (Linux from 32768, macOS and Windows from 49152): a connection
# that anybody opens before the server listens could take such a port from it.
_CHOICE = range(15000, 32768)
_chosen: set[int] = set()


def port_free() -> int:
    """Return a TCP port on loopback that nobody listens on at this moment; this process gets none of them twice."""
    for port in random.sample(_CHOICE, k=len(_CHOICE)):
        if port not in _chosen and port_is_free(port):
            _chosen.add(port)
            return port
    raise PortInUseError(f"none of the ports {_CHOICE[0]} to {_CHOICE[-1]} is free")


def port_is_free(port: int) -> bool:
    """Say whether a server could listen on `port` now.

    A port of connections that are only closing down counts as free.
    """
    return _bind_error(port) is None


def _bind_error(port: int) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno
        return None


def port_choose(wanted: int, *, option: str) -> int:
    """Return `wanted`, or any free port where `wanted` is 0.

    Raises:
        PortInUseError: somebody else has `wanted`.
        PortNotPermittedError: this user may not listen on it. Both messages name `option`.
    """
    if wanted == 0:
        return port_free()
    if _bind_error(wanted) == errno.EACCES:
        raise PortNotPermittedError(
            f"this user is not permitted to listen on port {wanted} (numbers below 1024 are usually root's): "
            f"choose another with {option} (0 takes any free one)"
        )
    if not port_is_free(wanted):
        raise PortInUseError(f"port {wanted} is in use: choose another with {option} (0 takes any free one)")
    return wanted


def port_accepts(port: int) -> bool:
    """Say whether something accepts connections on `port`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
