"""One tour with one client: `python -m tests.clients.tours ib_insync 127.0.0.1 4002 4102`.

Writes one JSON line per step to stdout. The facts are checked elsewhere, by those who have the list of them.
"""

import json
import sys
from typing import Any

from tests.clients.tours.client import TourClient
from tests.clients.tours.market import Market
from tests.clients.tours.tour import Tour

FACADES = ("ib_async", "ib_insync")


def client_of(library: str) -> TourClient:
    """Import the library's adapter: each needs a library that only its own environment has."""
    if library in FACADES:
        from tests.clients.tours.facade import FacadeClient

        return FacadeClient(library)
    from tests.clients.tours.native import NativeClient

    return NativeClient()


def say(step: str, facts: Any) -> None:
    sys.stdout.write(json.dumps({"step": step, "facts": facts}) + "\n")
    sys.stdout.flush()


def main() -> None:
    library, host, port, control_port = sys.argv[1:]
    market = Market(host, int(control_port))
    client = client_of(library)
    tour = Tour(client, market, host=host, port=int(port))
    try:
        for step, look in tour.steps():
            say(step, look())
    finally:
        # A library's own threads would keep the process alive after a failure.
        client.disconnect()
        market.close()


if __name__ == "__main__":
    main()
