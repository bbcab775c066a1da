"""Run as a process of its own: says in JSON what the running code does under the settings of this environment."""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import django

django.setup()

from django.core.signing import Signer  # noqa: E402 - Django is set up first.
from django.db import connection  # noqa: E402
from django.middleware.csrf import CsrfViewMiddleware  # noqa: E402
from django.test import Client, RequestFactory  # noqa: E402

from app.alerts.notify import channels  # noqa: E402
from app.config.celery import app as celery  # noqa: E402
from app.domain.maintenance import maintenance_at  # noqa: E402
from app.logins.origin import client_address  # noqa: E402
from app.worker import life  # noqa: E402

SUNDAY_AT_HALF_PAST_MIDNIGHT_IN_NEW_YORK = datetime(2026, 1, 4, 5, 30, tzinfo=UTC)


class NoConnectionError(Exception):
    """Nothing is really connected to: a Gateway may listen there."""


def addresses_connected_to() -> list[Any]:
    """Let the data worker's adapter connect, and return where to it tried to."""
    tried: list[Any] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            tried.append(list(arguments[1][:2]))
            raise NoConnectionError

    sys.addaudithook(hook)
    provider = life.data_provider_make()
    try:
        asyncio.run(asyncio.wait_for(provider.connect(), 5))
    except Exception as error:
        sys.stderr.write(repr(error))
    return [tried[0], provider.settings.client_id]


def origin_is_trusted() -> bool:
    request = RequestFactory().post("/", headers={"origin": "https://trading.example", "host": "localhost"})
    return CsrfViewMiddleware(lambda _: None)._origin_verified(request)


def observations() -> dict[str, Any]:
    """Return what each variable changes, by its name."""
    client = Client(headers={"host": "localhost"})
    secure = client.get("/healthz", secure=True)
    database = connection.get_connection_params()
    broker = life.broker_make(on_event=lambda _: None, on_state=lambda *_: None)
    forwarded = RequestFactory().get("/", headers={"x-forwarded-for": "198.51.100.7"})
    redis = celery.connection()
    [gateway_host, gateway_port], data_client_id = addresses_connected_to()
    return {
        "IB_HOST": gateway_host,
        "IB_PORT": gateway_port,
        "IB_CLIENT_ID": broker.settings.client_id,
        "IB_DATA_CLIENT_ID": data_client_id,
        "IB_ACCOUNT": broker.settings.account,
        "IB_TRADING_MODE": broker.settings.trading_mode,
        "IB_MESSAGES_PER_SECOND": broker._connection.pacer.messages_per_window,
        "IB_TIME_ZONE": broker.settings.time_zone,
        "GATEWAY_MAINTENANCE": maintenance_at(
            life.settings.GATEWAY_MAINTENANCE, now=SUNDAY_AT_HALF_PAST_MIDNIGHT_IN_NEW_YORK
        )
        is not None,
        "DATABASE_URL": [database["host"], database.get("sslmode")],
        "POSTGRES_PASSWORD": database.get("password"),
        "DATABASE_POOL_SIZE": connection.pool.max_size,
        "REDIS_URL": [redis.hostname, redis.port],
        "REDIS_PASSWORD": redis.password,
        "ALERT_URLS": len(channels()),
        "SECRET_KEY": Signer().sign("x") == Signer(key="k" * 20 + "ey" * 20).sign("x"),
        "ALLOWED_HOSTS": client.get("/healthz", headers={"host": "trading.example"}).status_code,
        "CSRF_TRUSTED_ORIGINS": origin_is_trusted(),
        "SECURE": client.get("/").status_code,
        "SECURE_HSTS_SECONDS": secure.headers.get("Strict-Transport-Security"),
        "PROXY_COUNT": client_address(forwarded),
        "DEBUG": b"DisallowedHost" in client.get("/healthz", headers={"host": "unknown.example"}).content,
        "LOG_LEVEL": logging.getLogger("app.anything").isEnabledFor(logging.INFO),
    }


if __name__ == "__main__":
    print(json.dumps(observations()))  # noqa: T201 - For the test that runs it.
