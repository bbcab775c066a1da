"""`scripts/up`: start everything on this machine, execute a demo setup, stay up (or stop then, with --once).

Exit codes: 0 the demo's reference was printed (and, without --once, a stop signal came later); 1 something could not be
started or the demo failed, with the reason; 2 other options are needed: a port is taken, or another `up` runs here.

Results go to standard output, progress to standard error; with --once the last line is the reference. The demo buys
once per data folder (and Gateway): a later start prints the reference of that execution again; --demo buys again.
"""

import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_stack.demo import Api, DemoError
from local_stack.environment import settings_require, user_environment
from local_stack.errors import DemoUserClosedError, StackError
from local_stack.home import LOCAL, home_rescue, left_behind
from local_stack.jobs import (
    DEMO_MARK_FILE,
    PreparedMark,
    demo_job,
    demo_place,
    demo_user_job,
    demo_user_known,
    migrate_job,
)
from local_stack.options import Options, options_parse
from local_stack.places import TEMPORARY
from local_stack.ports import LOOPBACK, port_choose
from local_stack.private_file import SECRETS, passwords_of, private_json_write
from local_stack.process import ProcessSpec
from local_stack.run_lock import leftovers_end, processes_record, run_lock
from local_stack.services import Services, services_prepare
from local_stack.stack import (
    BACKGROUND_WORKERS,
    TRADING_WORKERS,
    Ports,
    beat_spec,
    simulator_spec,
    stack_environment,
    web_spec,
    worker_specs,
)
from local_stack.supervisor import StopRequestedError, Supervisor
from local_stack.troubles import is_about_files, not_writable

UP_FILE = "up.json"
# How long a start waits for the broker worker to reach the Gateway before it says that it has not.
GATEWAY_SECONDS = 15
# The first looks every few seconds and has only just been started; without the second entries are executed as well.
NOT_OUR_CONCERN = ("watchdog", "market_data")

INSTRUCTIONS = """
{headline}
  pages    {url}/
  admin    {url}/admin/
  API      {url}/api/docs/
{user}
Users, in another terminal in this folder:
  ./manage.py createsuperuser                an administrator, who makes users and gives them roles under /admin/
  ./manage.py user_roles NAME --add trader   who may stop all trading (kill switch) and trade live accounts
{demo}
What runs where is in {up_file}; each process writes to {logs}. Ctrl-C stops all of it."""
DEMO_USER = """  user     {username}   (plans, executes on paper, reads everything)
  password {password}
  token    {token}
"""
DEMO_DONE = """
{reference} is the demo's bracket at the broker: the order ids of its entry and of its protective stop.
Execute a setup from the pages, or with curl (`Authorization: Token {token}`) as README shows."""


class Up:
    """One run of `up`. `up.json` appears when a setup can be executed, follows restarts, is gone after a clean stop."""

    def __init__(self, options: Options, user_values: Mapping[str, str], *, local: Path) -> None:
        self._options = options
        self._user_values = user_values
        self._local = local
        self._supervisor = Supervisor(logs=local / "log", report=progress, changed=self._write_down)
        self._ports = Ports(web=0, simulator=None, simulator_control=None)
        self._environment: dict[str, str] = {}
        self._mark = local / DEMO_MARK_FILE
        # What others may know, once all of it is true.
        self._published: dict[str, object] = {}

    def run(self) -> None:
        """Start, execute the demo, stay up. Everything is stopped when this raises or returns.

        Raises:
            StopRequestedError: a stop signal came before everything had been done.
            StackError: something could not be started, or the demo failed.
        """
        with self._supervisor.stop_signals_heard():
            try:
                self._start()
                reference = self._demo() if self._options.demo and "token" in self._published else ""
                if reference:
                    print(reference, flush=True)
                if not self._options.once:
                    self._start_batch([beat_spec(local=self._local, environment=self._environment)], joined=True)
                    self._supervisor.wait_ready()
                    print(self._instructions(reference), flush=True)
                    with contextlib.suppress(StopRequestedError):
                        self._supervisor.run()
            finally:
                self._published = {}
                with contextlib.suppress(OSError):  # A disk that cannot be written must not keep anything running.
                    (self._local / UP_FILE).unlink(missing_ok=True)
                self._supervisor.stop()

    def _start(self) -> None:
        started = time.monotonic()
        for name in leftovers_end(self._local):
            progress(f"stopped {name}, which a killed `up` had left behind")
        (self._local / UP_FILE).unlink(missing_ok=True)
        secrets = passwords_of(self._local / SECRETS, "secret_key", "demo_password")
        password = self._user_values.get("DEMO_PASSWORD") or secrets["demo_password"]
        services = self._start_servers(secret_key=secrets["secret_key"])
        url = f"http://{LOOPBACK}:{self._ports.web}"
        user = self._start_application(url, services, password=password)
        self._mark = (services.postgres_folder or self._local) / DEMO_MARK_FILE
        self._published = {
            "url": url,
            **user,
            "database_url": services.database_url,
            "redis_url": services.redis_url,
            "simulator": self._ports.simulator_address(),
        }
        # Nothing that a user does waits for these: they start while the demo runs.
        self._start_batch(worker_specs(BACKGROUND_WORKERS, environment=self._environment), joined=True)
        progress(f"started after {time.monotonic() - started:.1f} s")

    def _start_servers(self, *, secret_key: str) -> Services:
        self._ports = self._choose_ports()
        rescued = home_rescue(self._local)
        if rescued is not None:
            progress(f"moved the databases from {TEMPORARY}, which systems clear, to {rescued}")
        services = services_prepare(
            self._user_values,
            local=self._local,
            postgres_port=self._options.postgres_port,
            redis_port=self._options.redis_port,
        )
        self._environment = stack_environment(
            self._user_values, services=services, ports=self._ports, secret_key=secret_key
        )
        specs = list(services.specs)
        if self._ports.simulator is not None:
            specs.append(simulator_spec(ports=self._ports, local=self._local, environment=self._environment))
        self._start_batch(specs)
        if services.postgres_folder:
            self._supervisor.watch_room(services.postgres_folder)
        if services.postgres_folder and not services.postgres_folder.is_relative_to(self._local):
            progress(
                f"the databases are in {services.postgres_folder.parent}: their servers cannot use this clone's path"
            )
            if services.postgres_folder.is_relative_to(TEMPORARY):
                progress(
                    f"many systems remove files from {TEMPORARY} that nobody has used for 30 days: give this user a "
                    "home folder (HOME or XDG_DATA_HOME), and the next start moves the databases there"
                )
            for directory, clone in left_behind():
                progress(
                    f"{directory} holds the databases of a clone that was in {clone}. If it was moved, its own `up` "
                    "finds them; remove the folder only when nobody needs them"
                )
        return services

    def _start_application(self, url: str, services: Services, *, password: str) -> dict[str, str]:
        """Prepare the database where needed, start the rest, and return the demo user; nothing when none is wanted."""
        mark = PreparedMark(services.postgres_folder, environment=self._environment)
        is_prepared = mark.is_valid()
        if not is_prepared:
            self._supervisor.wait_ready()
            progress("preparing the database")
            migrate_job(
                self._supervisor,
                owner_url=services.database_owner_url,
                owner_password=self._user_values.get("POSTGRES_OWNER_PASSWORD", ""),
                environment=self._environment,
            )
        # Loading the application takes ten times as long as the servers need, so neither waits for the other.
        web = web_spec(port=self._ports.web, environment=self._environment)
        self._start_batch([web, *worker_specs(TRADING_WORKERS, environment=self._environment)])
        user: dict[str, str] | None = None
        if self._options.demo and not is_prepared:
            # The command needs only the database, so it runs while the others start.
            user = demo_user_job(self._supervisor, password=password, environment=self._environment)
        self._supervisor.wait_ready()
        mark.write()
        if not self._options.demo:
            return {}
        if user is None:
            user = demo_user_known(url, password=password)
        if user is None:
            user = demo_user_job(self._supervisor, password=password, environment=self._environment)
        return demo_user_open(user, once=self._options.once)

    def _choose_ports(self) -> Ports:
        web = port_choose(self._options.port, option="--port")
        if self._user_values.get("IB_HOST"):
            return Ports(web=web, simulator=None, simulator_control=None)
        return Ports(
            web=web,
            simulator=port_choose(self._options.simulator_port, option="--simulator-port"),
            simulator_control=port_choose(self._options.simulator_control_port, option="--simulator-control-port"),
        )

    def _start_batch(self, specs: Sequence[ProcessSpec], *, joined: bool = False) -> None:
        if specs:
            progress("starting " + ", ".join(spec.name for spec in specs))
            self._supervisor.start(specs, joined=joined)

    def _demo(self) -> str:
        price = ["--simulator-control-port", str(self._ports.simulator_control)]
        if self._options.stop_price is not None:
            price = ["--stop-price", self._options.stop_price]
        is_simulator = self._ports.simulator is not None
        is_embedded = self._mark.parent != self._local
        place = demo_place(self._environment, is_simulator=is_simulator, is_embedded=is_embedded)
        again = ["--again"] if self._options.demo_again else []
        arguments = ["--url", str(self._published["url"]), "--symbol", self._options.symbol, *price, *again]
        progress(f"executing a demo setup, unless that was done before: {self._options.symbol} long at market")
        answer = demo_job(
            self._supervisor,
            *arguments,
            *("--mark", str(self._mark), "--place", place),
            token=str(self._published["token"]),
            environment=self._environment,
        )
        if answer["known"]:
            progress(
                f"the demo was executed by an earlier start, and execution {answer['execution']} is "
                f"{answer['status']} by now. Nothing was bought; --demo buys again"
            )
        return str(answer["reference"])

    def _instructions(self, reference: str) -> str:
        """Return what a person must know now, beginning with whether anything can be executed."""
        url, told = str(self._published["url"]), self._published
        wrong: dict[str, str] = {}

        def can_execute() -> bool:
            nonlocal wrong
            wrong = _what_is_wrong(url)
            return not wrong

        headline = "Trading Analyst is up."
        if not self._supervisor.wait_until(can_execute, timeout_seconds=GATEWAY_SECONDS):
            lines = [f"  {name}: {detail}" for name, detail in wrong.items()]
            gateway = f"{self._environment.get('IB_HOST')}:{self._environment.get('IB_PORT', '')}"
            headline = "\n".join(
                [
                    f"Trading Analyst runs, but CAN EXECUTE NOTHING YET; the Gateway should be at {gateway}.",
                    *lines,
                    f"It goes on trying. {url}/readyz says how it stands,",
                    f"{self._local / 'log' / 'broker-worker.log'} what it tried;",
                    "docs/ib_setup.md says how a Gateway is set up.",
                ]
            )
        return INSTRUCTIONS.format(
            headline=headline,
            url=url,
            user=DEMO_USER.format(**told) if "token" in told else "",
            demo=DEMO_DONE.format(**told, reference=reference) if reference else "",
            up_file=self._local / UP_FILE,
            logs=self._local / "log",
        )

    def _write_down(self, pids: dict[str, int]) -> None:
        processes_record(self._local, pids)
        if self._published:
            private_json_write(self._local / UP_FILE, {**self._published, "pids": pids})


def demo_user_open(user: dict[str, str], *, once: bool) -> dict[str, str]:
    """Return the demo user; of one that was closed nothing, for there is no demo then.

    Raises DemoUserClosedError with `once`: the demo is all that was asked for.
    """
    if "left_alone" not in user:
        return user
    closed = f"the user demo is left as it is, because {user['left_alone']}"
    if once:
        raise DemoUserClosedError(f"{closed}; `./manage.py demo_user --reset` opens it again")
    progress(f"{closed}: no demo is executed (`./manage.py demo_user --reset` opens it again)")
    return {}


def _what_is_wrong(url: str) -> dict[str, str]:
    """Ask /readyz; return each part that is not ready, with the reason."""
    try:
        _status, answer = Api(url).call("GET", "/readyz")
    except DemoError as error:
        return {"web": str(error)}
    checks = answer.get("checks")
    if not isinstance(checks, dict):
        return {"readyz": json.dumps(answer)}
    wrong = {name: check for name, check in checks.items() if name not in NOT_OUR_CONCERN and not check.get("ok")}
    return {name: str(check.get("detail", "not ready")) for name, check in wrong.items()}


def progress(line: str) -> None:
    """Tell a person what happens, where the words can still go anywhere."""
    with contextlib.suppress(OSError):
        print(f"up: {line}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None, *, local: Path = LOCAL) -> int:
    """Run `up` and return its exit code."""
    try:
        for line in settings_require().splitlines():
            progress(line)
        user_values = user_environment()
        options = options_parse(sys.argv[1:] if arguments is None else arguments, user_values)
        local.mkdir(exist_ok=True)
        with run_lock(local):
            Up(options, user_values, local=local).run()
    except StopRequestedError as request:
        progress(f"stopped by {request}")
        return request.exit_code
    except StackError as error:
        progress(f"{error.code}: {error}")
        return error.exit_code
    except OSError as error:
        if not is_about_files(error):
            raise
        refusal = not_writable(error, folder=local)
        progress(f"{refusal.code}: {refusal}")
        return refusal.exit_code
    return 0
