"""Feed frames to an official API's decoder: reads JSON lines `{"version", "fields"}`, writes what was told per line."""

import json
import logging
import sys
from typing import Any

from ibapi.decoder import Decoder
from ibapi.wrapper import EWrapper

from tests.clients.tours.flatten import Listener


def told(version: int, fields: list[str]) -> dict[str, Any]:
    listener: Any = Listener(EWrapper)
    decoder = Decoder(listener, version)
    raw = tuple(field.encode() for field in fields)
    try:
        if "msgId" in Decoder.interpret.__code__.co_varnames[:3]:
            # 10.46 takes the number off first.
            decoder.interpret(raw[1:], int(fields[0]))
        else:
            decoder.interpret(raw)
    except Exception as error:
        return {"failure": repr(error)}
    return {"callbacks": listener.callbacks, "table": listener.table}


def main() -> None:
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        frame = json.loads(line)
        sys.stdout.write(json.dumps(told(frame["version"], frame["fields"])) + "\n")


if __name__ == "__main__":
    main()
