"""The outbox as it is kept in the database: rows under the execution's lock, compared with the fence (see Outbox)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker, SendPermit
from app.domain.command import PRICE_CHANGED, CommandKind, CommandReason
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.models import Bracket, Execution, Order, OrderCommand
from app.executions.open_rows import any_of, bracket_executions
from app.executions.outbox import LegRow
from app.executions.services.attention import attention_add
from app.executions.services.change_outcome import change_outcome_tell
from app.executions.services.commands_write import command_settle, unsettled
from app.executions.services.connection_row import connection_of, holding_of, is_foreign
from app.executions.services.send_permit import BracketPermit, OrderPermit

BATCH_MAX = 50
# The guard asks for a change again after three seconds.
AGAIN_AFTER = {CommandKind.CANCEL: timedelta(seconds=5), CommandKind.MODIFY: timedelta(seconds=2)}


@dataclass(kw_only=True, slots=True)
class OutboxRows:
    """The `Outbox` of the connection that the broker holds. `known_holder`: its row, where it was just read."""

    broker: BlockingBroker
    known_holder: BrokerConnection | None = None
    _holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        """Hold on to the fence that this is begun under."""
        self._holding = holding_of(self.broker)

    def holder(self) -> BrokerConnection:
        """See Outbox."""
        return self.known_holder or connection_of(self.broker)

    def order(self, order_pk: int) -> Order:
        """See Outbox."""
        return Order.objects.select_related("bracket__execution").get(pk=order_pk)

    def parent_id(self, order: Order) -> int:
        """See Outbox. An entry that is over is named no more: IB refuses the change then (135)."""
        if not Leg(order.leg).is_exit or not Leg(order.leg).is_native:
            return 0
        entry = Order.objects.filter(bracket=order.bracket_id, leg=Leg.ENTRY.value).first()
        return entry.order_id or 0 if entry is not None and OrderStatus(entry.status) not in TERMINAL else 0

    def legs(self, execution_ids: Sequence[int]) -> Sequence[tuple[int, int, Sequence[LegRow]]]:
        """See Outbox. Two lean queries: nearly all brackets need nothing, and each is looked at every second."""
        execution_of = bracket_executions(execution_ids)
        facts = Order.objects.filter(any_of("executions_order.bracket_id", execution_of)).order_by()
        rows = sorted(facts.values_list("bracket_id", *LegRow._fields), key=itemgetter(0, 1))
        return [
            (execution_of[bracket_id], bracket_id, [LegRow(*row[1:]) for row in of_it])
            for bracket_id, of_it in groupby(rows, key=itemgetter(0))
        ]

    def require_still_ours(self) -> None:
        """See Outbox."""
        fence_require(self._holding)

    def bracket_permit(self, bracket: Bracket) -> SendPermit:
        """See Outbox."""
        return BracketPermit(bracket_id=bracket.pk, holding=self._holding)

    def order_permit(self, order: Order, *, replaces: Sequence[Order]) -> SendPermit:
        """See Outbox."""
        return OrderPermit(order_pk=order.pk, holding=self._holding, replaces=replaces)

    @transaction.atomic
    def take(
        self, kind: CommandKind, *, execution_id: int, orders: Sequence[Order], now: datetime
    ) -> Sequence[OrderCommand]:
        """See Outbox. One that was sent a moment ago gets time to be answered."""
        holder = self.holder()
        execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
        fence_require(self._holding)
        commands = unsettled(orders, kind).select_related("order__bracket__execution").order_by("id")
        due = [command for command in commands if _is_due(command, now=now) and not _moved_meanwhile(command, now=now)]
        foreign = [command for command in due if is_foreign(command.order, holder)]
        if foreign:  # What became of a move may have been told since the row was read.
            execution.refresh_from_db(fields=["attention"])
        for command in foreign:
            order = command.order
            verb = "cancel" if kind is CommandKind.CANCEL else "change"
            attention_add(
                execution,
                f"{order.order_ref}: only client id {order.client_id}, which placed it, can {verb} it",
                code=FlagCode.NOT_OURS_TO_CHANGE,
            )
        if foreign:
            execution.save(update_fields=["attention"])
            OrderCommand.objects.filter(pk__in=[command.pk for command in foreign]).update(tried_at=now)
        ours = [command for command in due if command not in foreign]
        OrderCommand.objects.filter(pk__in=[command.pk for command in ours]).update(tried_at=now, sent_at=now)
        return ours

    @transaction.atomic
    def give_back(self, unsent: Sequence[OrderCommand]) -> None:
        """See Outbox."""
        for command in unsent:  # As they were read, before they were noted.
            noted = OrderCommand.objects.filter(pk=command.pk, settled_at__isnull=True)
            noted.update(tried_at=command.tried_at, sent_at=command.sent_at)

    def moves_waiting(self, execution_id: int) -> Sequence[Order]:
        """See Outbox."""
        moved = OrderCommand.objects.filter(execution=execution_id, settled_at__isnull=True, sent_at__isnull=True)
        moved = moved.filter(kind=CommandKind.MODIFY, reason_code__in=[CommandReason.MOVED, CommandReason.PUT_BACK])
        return [command.order for command in moved.select_related("order")]

    def left_behind(self, *, now: datetime) -> Iterable[OrderCommand]:
        """See Outbox. By the index of what is unsettled alone; the orders are read by their keys."""
        left = OrderCommand.objects.filter(settled_at__isnull=True, reason_code=CommandReason.LEFT_BEHIND)
        found = left.order_by("requested_at").prefetch_related("order__account")
        ours = [command for command in found if command.order.account.account_id == self.broker.account_id]
        return [command for command in ours if _is_due(command, now=now)][:BATCH_MAX]

    def publish(self, execution_id: int) -> None:
        """See Outbox."""
        news.publish_on_commit(execution_id)


def _moved_meanwhile(command: OrderCommand, *, now: datetime) -> bool:
    """Say whether a move is not to be sent, because somebody else has moved the order since; settled by that.

    Where it is by now is where we want it: an earlier change of ours, which this one took the place of, was echoed.
    """
    if command.reason_code != CommandReason.MOVED or command.sent_at is not None:
        return False
    prices = [(name, command.evidence.get(name)) for name in ("limit_price", "stop_price") if name in command.change]
    known = {name: {Decimal(before), Decimal(command.change[name])} for name, before in prices if before is not None}
    if all(getattr(command.order, name) in known[name] for name in known):
        return False
    command_settle(command, PRICE_CHANGED, now=now)
    change_outcome_tell(command, PRICE_CHANGED, now=now)
    return True


def _is_due(command: OrderCommand, *, now: datetime) -> bool:
    """Say whether the command can have an effect, and was not sent a moment ago."""
    status = OrderStatus(command.order.status)
    over = status in TERMINAL and command.reason_code != CommandReason.LEFT_BEHIND
    if over or status is OrderStatus.PENDING_CANCEL or command.order.order_id is None:
        return False
    # What was tried ahead of us was tried by a clock that was wrong.
    return command.tried_at is None or not now - AGAIN_AFTER[CommandKind(command.kind)] < command.tried_at <= now
