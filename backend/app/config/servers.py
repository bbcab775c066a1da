"""Addresses of the servers, as Django, Celery and the Redis client take them."""

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from app.config.addresses import host_of


def database_settings(url: str, *, password: str) -> dict[str, Any]:
    """Return Django's entry for a PostgreSQL; `password` is used where the address has none.

    What follows the `?` (sslmode and the like) becomes libpq's parameters.
    """
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or "") or password,
        "HOST": unquote(host_of(parts)),
        "PORT": parts.port or "",
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def redis_url(url: str, *, password: str) -> str:
    """Return the address; one without a password gets this one."""
    parts = urlsplit(url)
    if parts.password or not password:
        return url
    return parts._replace(
        netloc=f"{parts.username or ''}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
    ).geturl()
