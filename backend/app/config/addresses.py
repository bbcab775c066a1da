"""Addresses in variables: hosts, servers, and the origins of pages, read so that no library stumbles over them later.

Every reader returns the text as it will be used and raises ValueError for what is not allowed. Whatever passes here can
be taken apart by Django, libpq, Celery and the Redis client; whether somebody answers there is another matter.

    postgres://user:p%40ss@host:5432/database?sslmode=verify-full
               ────────────────────────────── ──────────────────
               %XX wherever a sign would       one of the parameters below, once, with one of the values that
               be read as punctuation          libpq knows; a file must be there and readable

A `%` that is not followed by two digits, or bytes that are no UTF-8, would be taken for another password in silence.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

HOST_LENGTH_MAX = 253
CONNECT_TIMEOUT_SECONDS_MAX = 600
# What libpq finds in the system's own store instead of a file.
SYSTEM_CERTIFICATES = "system"

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SERVED_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DIGITS = re.compile(r"[0-9]+")
_PLAIN = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]*")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_POSTGRES_SCHEMES = ("postgres", "postgresql")
_REDIS_SCHEMES = ("redis", "rediss")


def host_read(text: str) -> str:
    """Return a host's name or address as it is."""
    if ":" in text:
        return str(ipaddress.IPv6Address(text))
    return _name(text, label=_LABEL)


def served_host_read(text: str) -> str:
    """Return a name that the site is reached by, as Django compares it with the header `Host`."""
    if text == "*":
        return text
    if text.startswith("["):
        return _bracketed(text)
    # Django takes the dot at the end off the header's name, but not off this one.
    dot, name = ("." if text.startswith(".") else ""), text.removeprefix(".").removesuffix(".")
    return dot + _name(name, label=_SERVED_LABEL)


def origin_read(text: str) -> str:
    """Return an origin as browsers send it: in small letters, and without the port that its scheme has anyway."""
    found = re.fullmatch(r"(https?)://(\*\.)?(\[[^\]]*\]|[^:/\[\]]+)(?::([0-9]{1,5}))?", text, re.IGNORECASE)
    if found is None:
        raise ValueError
    scheme, wildcard, host, port = found[1].lower(), found[2] or "", found[3].lower(), int(found[4] or 0)
    host = _bracketed(host) if host.startswith("[") else _name(host, label=_SERVED_LABEL)
    if found[4] and not 1 <= port <= 65535:
        raise ValueError
    return f"{scheme}://{wildcard}{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")


def database_url_read(text: str) -> str:
    """Return the address of a PostgreSQL as it is, or "" where there is none."""
    if not text:
        return text
    url = _server(text, schemes=_POSTGRES_SCHEMES)
    # Several hosts are tried in turn; a folder is where the server's socket lies.
    for host in unquote(host_of(url)).split(","):
        if not host.startswith("/"):
            host_read(host)
    if not re.fullmatch(r"/[^/]+", unquote(url.path)):
        raise ValueError
    given = _parameters(url, readers=_POSTGRES_PARAMETERS)
    if given.get("sslrootcert") == SYSTEM_CERTIFICATES and given.get("sslmode") != "verify-full":
        raise ValueError  # libpq refuses to connect.
    if ("sslcert" in given) != ("sslkey" in given):
        raise ValueError  # The other one would be looked for in the home folder of whoever runs the process.
    return text


def redis_url_read(text: str) -> str:
    """Return the address of a Redis or Valkey as it is, or "" where there is none."""
    if not text:
        return text
    url = _server(text, schemes=_REDIS_SCHEMES)
    host_read(host_of(url))
    if not re.fullmatch(r"(/[0-9]{0,4})?", url.path):
        raise ValueError
    given = _parameters(url, readers=_REDIS_PARAMETERS)
    if url.scheme == "rediss" and "ssl_cert_reqs" not in given:
        raise ValueError  # Celery does not start without it.
    if url.scheme == "redis" and given:
        raise ValueError  # A connection without TLS knows none of them.
    if "ssl_keyfile" in given and "ssl_certfile" not in given:
        raise ValueError
    return text


def host_of(url: SplitResult) -> str:
    """Return the host of an address as it is written; `hostname` would make a socket's folder small letters."""
    place = url.netloc.rpartition("@")[2]
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]


def _server(text: str, *, schemes: tuple[str, ...]) -> SplitResult:
    if not _PLAIN.fullmatch(text) or _BROKEN_PERCENT.search(text):
        raise ValueError
    url = urlsplit(text)
    if url.scheme not in schemes or not url.hostname or url.fragment or "#" in text:
        raise ValueError
    if url.port == 0:  # A port that is no number, or is too large, raises by itself.
        raise ValueError
    for part in (url.netloc, url.path, url.query):
        # Bytes that are no UTF-8 raise; a NUL or a line feed would end a message of the protocol in its middle.
        if re.search(r"[\x00-\x1f\x7f]", unquote(part, errors="strict")):
            raise ValueError
    return url


def _parameters(url: SplitResult, *, readers: Mapping[str, Callable[[str], None]]) -> dict[str, str]:
    pairs = parse_qsl(url.query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise ValueError
    for name, value in pairs:
        if name not in readers:
            raise ValueError
        readers[name](value)
    return given


def _bracketed(text: str) -> str:
    return f"[{ipaddress.IPv6Address(text.removeprefix('[').removesuffix(']'))}]"


def _name(text: str, *, label: re.Pattern[str]) -> str:
    labels = text.removesuffix(".").split(".")
    if len(text) > HOST_LENGTH_MAX or not all(label.fullmatch(part) for part in labels):
        raise ValueError
    if _DIGITS.fullmatch(labels[-1]):
        # A name does not end in digits only: it is meant for an address of four numbers.
        ipaddress.IPv4Address(text)
    return text


def _word(text: str, *, words: tuple[str, ...]) -> None:
    if text not in words:
        raise ValueError


def _seconds(text: str) -> None:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= CONNECT_TIMEOUT_SECONDS_MAX:
        raise ValueError


def _file(text: str) -> None:
    if not Path(text).is_file() or not os.access(text, os.R_OK):
        raise ValueError


def _certificates(text: str) -> None:
    if text != SYSTEM_CERTIFICATES:
        _file(text)


# What else a connection needs is set by the settings, or would break what they set. Servers that can only be read are
# of no use to us.
_POSTGRES_PARAMETERS: Mapping[str, Callable[[str], None]] = {
    "sslmode": partial(_word, words=("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
    "sslrootcert": _certificates,
    "sslcert": _file,
    "sslkey": _file,
    "channel_binding": partial(_word, words=("disable", "prefer", "require")),
    "connect_timeout": _seconds,
    "target_session_attrs": partial(_word, words=("any", "read-write", "primary")),
}
_REDIS_PARAMETERS: Mapping[str, Callable[[str], None]] = {
    "ssl_cert_reqs": partial(_word, words=("required", "optional", "none")),
    "ssl_ca_certs": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
}
DATABASE_URL_ALLOWED = (
    "postgres://user:password@host:5432/database, with what is special in the password written as %XX; after a `?`, "
    "each once: sslmode=disable, allow, prefer, require, verify-ca or verify-full; sslrootcert=a file, or `system` "
    "with verify-full; sslcert and sslkey=files, both; channel_binding=disable, prefer or require; connect_timeout=1 "
    f"to {CONNECT_TIMEOUT_SECONDS_MAX}; target_session_attrs=any, read-write or primary"
)
REDIS_URL_ALLOWED = (
    "redis://:password@host:6379/0, with what is special in the password written as %XX; or rediss:// with "
    "?ssl_cert_reqs=required, optional or none, and ssl_ca_certs, ssl_certfile, ssl_keyfile=files, each once"
)
