"""Play a scenario file: its steps become control commands when their moment has come.

What sets a step off only makes an appointment; the commands are carried out when the gateway is woken, never in the
middle of a message or a fill.
"""

import json
import logging
from functools import partial
from random import Random

from ib_simulator import control
from ib_simulator.desk.orders import Status
from ib_simulator.faults.scenario_file import Adversary, Command, ScenarioPlan, Step
from ib_simulator.gateway import Gateway
from ib_simulator.money.ledger import Execution

logger = logging.getLogger(__name__)


class ScenarioPlayer:
    """Watches a gateway from `start` on."""

    def __init__(self, plan: ScenarioPlan, *, gateway: Gateway) -> None:
        self._plan = plan
        self._gateway = gateway
        self._waiting = list(plan.steps)

    def start(self) -> None:
        """Set switches and limits, and begin to count seconds and messages."""
        for name, value in self._plan.switches.items():
            self._gateway.scenario.set_switch(name, value)
        for name, number in self._plan.limits.items():
            self._gateway.scenario.set_limit(name, number)
        for step in [step for step in self._waiting if step.at is not None]:
            self._set_off(step, seconds=(step.at or 0.0) + step.wait)
        self._gateway.message_watchers.append(self._on_message)
        self._gateway.execution_watchers.append(self._on_execution)
        if self._plan.adversary is not None:
            chance = Random(self._plan.adversary.seed)  # noqa: S311 - reproducible, not secret.
            self._plan_attack(self._plan.adversary, chance)

    def _on_message(self, name: str, client_id: int | None) -> None:
        for step in list(self._waiting):
            if step.after in {name, "*"} and step.client_id in {None, client_id}:
                step.count -= 1
                if step.count <= 0:
                    self._set_off(step, seconds=step.wait)

    def _on_execution(self, execution: Execution) -> None:
        for step in self._waiting:
            if step.when_filled and step.when_filled == execution.order_ref:
                self._gateway.after(0, partial(self._look, step))

    def _look(self, step: Step) -> None:
        filled = any(
            order.order_ref == step.when_filled and order.status is Status.FILLED for order in self._gateway.book
        )
        if filled and step in self._waiting:
            self._set_off(step, seconds=step.wait)

    def _set_off(self, step: Step, *, seconds: float) -> None:
        self._waiting.remove(step)
        self._gateway.after(seconds, lambda: self._carry_out(step.key, step.commands))

    def _plan_attack(self, adversary: Adversary, chance: Random) -> None:
        def attack() -> None:
            self._carry_out("random", [chance.choice(adversary.faults)])
            self._plan_attack(adversary, chance)

        self._gateway.after(adversary.every_seconds, attack)

    def _carry_out(self, key: str, commands: list[Command]) -> None:
        for command in commands:
            reply = json.loads(control.execute(self._gateway, json.dumps(command).encode()).line)
            level = logging.INFO if reply["ok"] else logging.ERROR
            logger.log(level, "%s: %s: %s -> %s", self._plan.name, key, command, reply.get("message", "done"))
