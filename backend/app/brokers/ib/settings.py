"""Where the Gateway is, whom we are there, and every limit of the connection, from arguments or the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import FixRequest

TRADING_MODES = ("paper", "live")


@dataclass(frozen=True, kw_only=True, slots=True)
class IBSettings:
    """How to connect to IB Gateway or TWS. All times in seconds.

    `account` may stay "" where the login has one paper account. `trading_mode` "live" admits a live account only when
    `account` names it. `time_zone` is the Gateway's, for the few times it sends without one; "" means as its
    handshake shows it.
    """

    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 1
    account: str = ""
    trading_mode: str = "paper"
    time_zone: str = ""
    messages_per_second: int = 45
    send_queue_length_max: int = 2000
    connect_timeout_seconds: float = 10.0
    request_timeout_seconds: float = 10.0
    write_ahead_timeout_seconds: float = 10.0
    reconnect_pause_seconds: float = 1.0
    late_answer_seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.trading_mode not in TRADING_MODES:
            raise FixRequest(
                f"The trading mode is one of {', '.join(TRADING_MODES)}, not {self.trading_mode!r}.",
                code="trading_mode_unknown",
            )

    @classmethod
    def from_environment(
        cls, *, client_id_variable: str = "IB_CLIENT_ID", environment: Mapping[str, str] | None = None
    ) -> "IBSettings":
        """Return what the environment says: IB_HOST, IB_PORT, IB_ACCOUNT, IB_TRADING_MODE,
        IB_MESSAGES_PER_SECOND, IB_TIME_ZONE, and the client id from `client_id_variable`.

        What is unset or empty keeps its default; IB_DATA_CLIENT_ID defaults to 2, any other client id to 1.
        Raises FixRequest `setting_not_a_number`, `trading_mode_unknown`.
        """
        source = os.environ if environment is None else environment
        default_client_id = 2 if client_id_variable == "IB_DATA_CLIENT_ID" else 1
        return cls(
            host=source.get("IB_HOST") or "127.0.0.1",
            port=_number(source, "IB_PORT", default=4002),
            client_id=_number(source, client_id_variable, default=default_client_id),
            account=source.get("IB_ACCOUNT") or "",
            trading_mode=source.get("IB_TRADING_MODE") or "paper",
            messages_per_second=_number(source, "IB_MESSAGES_PER_SECOND", default=45),
            time_zone=source.get("IB_TIME_ZONE") or "",
        )


def _number(source: Mapping[str, str], name: str, *, default: int) -> int:
    text = source.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise FixRequest(f"{name} must be a whole number, not {text!r}.", code="setting_not_a_number") from None
