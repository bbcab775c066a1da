"""PostgreSQL and Valkey as the rest of the stack sees them:

A URL each, and a program to run where the user has named none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_stack.home import service_home
from local_stack.ports import port_choose
from local_stack.postgres import postgres_prepare
from local_stack.private_file import SECRETS, passwords_of
from local_stack.process import ProcessSpec
from local_stack.valkey import valkey_prepare


@dataclass(frozen=True)
class Services:
    """`specs` holds the servers we have to run ourselves; `postgres_folder` is None when it is somebody else's.

    `database_owner_url` is for `migrate` alone; "" where one role owns the tables and works with them.
    """

    database_url: str
    redis_url: str
    specs: tuple[ProcessSpec, ...]
    postgres_folder: Path | None
    database_owner_url: str = ""


def services_prepare(user_values: Mapping[str, str], *, local: Path, postgres_port: int, redis_port: int) -> Services:
    """Take each server from the environment, or make the embedded one ready to start.

    Raises:
        PortInUseError: a port asked for by number is taken.
        ServiceHomeError, UserWithoutNameError, BinaryMissingError, DataVersionError, NotReadyError: the embedded server
            cannot be set up.
    """
    database_url, redis_url = user_values.get("DATABASE_URL"), user_values.get("REDIS_URL")
    if database_url and redis_url:
        return Services(database_url, redis_url, (), None, user_values.get("DATABASE_OWNER_URL", ""))
    home = service_home(local=local)
    passwords = passwords_of(local / SECRETS, "postgres", "postgres_app", "valkey")
    specs: list[ProcessSpec] = []
    folder = None
    owner_url = user_values.get("DATABASE_OWNER_URL", "")
    if not database_url:
        folder = home.folder("postgres")
        port = port_choose(postgres_port, option="--postgres-port")
        postgres = postgres_prepare(home, folder=folder, port=port, password=passwords["postgres"])
        database_url, owner_url = postgres.application_url(passwords["postgres_app"]), postgres.url
        specs.append(postgres.spec())
    if not redis_url:
        port = port_choose(redis_port, option="--redis-port")
        valkey = valkey_prepare(home, folder=home.folder("valkey"), port=port, password=passwords["valkey"])
        redis_url = valkey.url
        specs.append(valkey.spec())
    return Services(database_url, redis_url, tuple(specs), folder, owner_url)
