"""What was done about a setup, and what the broker told about it.

    Execution ─┬─ Bracket (tranche 1) ─┬─ Order ENTRY ────── Fill ── Commission
               │                       ├─ Order TAKE_PROFIT
               │                       └─ Order STOP_LOSS
               └─ Bracket (tranche 2) ...          BrokerEvent: everything heard, as heard

Rows are written by the services only; a status changes only through `domain.order_status`.
"""

import secrets
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from app.accounts.models import Account
from app.core.decimal_text import plain
from app.domain.command import CommandKind
from app.domain.execution_status import FINISHED, ExecutionStatus
from app.domain.order_ref import EXECUTION_KEY_ALPHABET, EXECUTION_KEY_LENGTH
from app.domain.order_status import TERMINAL, OrderStatus, display_status
from app.domain.terms import Action, Leg, OnTimeout, OrderType, Side, TimeInForce
from app.executions.flag_model import ExecutionFlag as ExecutionFlag
from app.setups.models import Setup

ONE_UNFINISHED_PER_SETUP = "one_unfinished_execution_per_setup"

_FINISHED_WORDS = sorted(status.value for status in FINISHED)
_UNFINISHED_WORDS = sorted(status.value for status in set(ExecutionStatus) - FINISHED)
_OPEN_WORDS = sorted(status.value for status in set(OrderStatus) - TERMINAL)
LACKS_DEALS = Q(told_filled__gt=F("filled_quantity"))


def _choices(vocabulary: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in vocabulary]


def new_execution_key() -> str:
    """Return a random name for an execution: the first part of its orders' `order_ref`."""
    return "".join(secrets.choice(EXECUTION_KEY_ALPHABET) for _ in range(EXECUTION_KEY_LENGTH))


class Execution(models.Model):
    """One attempt to carry out a setup."""

    setup = models.ForeignKey(Setup, on_delete=models.PROTECT, related_name="executions")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="executions")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="executions")
    key = models.CharField(max_length=EXECUTION_KEY_LENGTH, unique=True, default=new_execution_key)
    idempotency_key = models.CharField(max_length=200)
    request_digest = models.CharField(max_length=64)
    symbol = models.CharField(max_length=32)
    security_type = models.CharField(max_length=8)
    exchange = models.CharField(max_length=16)
    currency = models.CharField(max_length=8)
    con_id = models.BigIntegerField(default=0)
    side = models.CharField(max_length=8, choices=_choices(Side))
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    status = models.CharField(max_length=16, choices=_choices(ExecutionStatus), default=ExecutionStatus.REQUESTED.value)
    open_quantity = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    attention = models.TextField(blank=True)
    reason_code = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    exit_reason = models.CharField(max_length=64, blank=True)
    preflight = models.JSONField(default=list)
    on_timeout = models.CharField(max_length=8, choices=_choices(OnTimeout))
    requested_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_reason = models.CharField(max_length=64, blank=True)
    flatten_requested_at = models.DateTimeField(null=True)
    close_requested_at = models.DateTimeField(null=True)  # of a part of it, or at a limit, until that is done
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by", "idempotency_key"], name="one_execution_per_idempotency_key"
            ),
            models.UniqueConstraint(
                fields=["setup"], condition=~Q(status__in=_FINISHED_WORDS), name=ONE_UNFINISHED_PER_SETUP
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="execution_quantity_positive"),
            models.CheckConstraint(condition=~Q(idempotency_key=""), name="idempotency_key_not_empty"),
        ]
        indexes = [
            models.Index(fields=["symbol", "-id"], name="execution_by_symbol"),
            models.Index(fields=["requested_by", "-id"], name="execution_by_user"),
            models.Index(fields=["id"], condition=Q(status__in=_UNFINISHED_WORDS), name="execution_unfinished"),
            models.Index(fields=["account", "id"], condition=~Q(open_quantity=0), name="execution_held"),
            models.Index(fields=["-requested_at"], name="execution_by_time"),
            models.Index(fields=["account", "finished_at"], name="execution_by_end"),
            models.Index(fields=["-id"], condition=~Q(attention=""), name="execution_flagged"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} {self.status} #{self.pk}"

    @property
    def is_finished(self) -> bool:
        """Whether the status is a final one."""
        return ExecutionStatus(self.status) in FINISHED

    @property
    def reference(self) -> str:
        """`IB-<entry>:<stop>` of the first tranche; "" until both ids are reserved."""
        brackets = sorted(self.brackets.all(), key=lambda bracket: bracket.tranche)
        return brackets[0].reference if brackets else ""


class Bracket(models.Model):
    """One native bracket: a tranche of an execution."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="brackets")
    tranche = models.PositiveSmallIntegerField()
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    # To how many open shares it is to be reduced (see domain.close); null: it is not being closed.
    keep_quantity = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    close_limit_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    close_tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["execution_id", "tranche"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "tranche"], name="one_bracket_per_tranche"),
            models.CheckConstraint(condition=Q(quantity__gt=0, tranche__gte=1), name="bracket_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id}/{self.tranche}"

    @property
    def reference(self) -> str:
        """`IB-<entry>:<stop>`, or "" until both ids are reserved."""
        ids = {order.leg: order.order_id for order in self.orders.all() if order.leg in (Leg.ENTRY, Leg.STOP_LOSS)}
        entry, stop = ids.get(Leg.ENTRY), ids.get(Leg.STOP_LOSS)
        return f"IB-{entry}:{stop}" if entry and stop else ""


class Order(models.Model):
    """One leg as sent. `order_ref` and `perm_id` name it for good; `order_id` only with its client id and session."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="orders")
    bracket = models.ForeignKey(Bracket, on_delete=models.PROTECT, related_name="orders")
    leg = models.CharField(max_length=16, choices=_choices(Leg))
    order_ref = models.CharField(max_length=64, unique=True)
    client_id = models.PositiveIntegerField(null=True)
    order_id = models.BigIntegerField(null=True)
    perm_id = models.BigIntegerField(default=0)
    action = models.CharField(max_length=8, choices=_choices(Action))
    order_type = models.CharField(max_length=16, choices=_choices(OrderType))
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    limit_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    stop_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    time_in_force = models.CharField(max_length=8, choices=_choices(TimeInForce))
    outside_rth = models.BooleanField(default=False)
    # As the broker echoes it: orders of one group end or reduce one another. Of a CLOSE also before: what it joins.
    oca_group = models.CharField(max_length=64, blank=True, default="")
    oca_type = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=16, choices=_choices(OrderStatus), default=OrderStatus.CREATED.value)
    filled_quantity = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    told_filled = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    closed_elsewhere = models.DecimalField(max_digits=20, decimal_places=4, default=0)  # of an entry: domain.exposure
    # Of an order that was refused: the broker's open orders, asked for afterwards, do not have it.
    refusal_proved = models.BooleanField(default=False)
    refusal_suspected = models.BooleanField(default=False)  # answered by a code that is no certain refusal
    average_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    why_held = models.CharField(max_length=64, blank=True)
    last_error_code = models.IntegerField(null=True)
    last_error = models.TextField(blank=True)
    ended_because = models.TextField(blank=True)  # in the broker's own words, where it cancelled it
    sent_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["bracket_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "client_id", "order_id"],
                condition=Q(order_id__isnull=False),
                name="order_id_used_once_per_client",
            ),
            models.UniqueConstraint(
                fields=["account", "perm_id"], condition=Q(perm_id__gt=0), name="perm_id_unique_per_account"
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
            models.CheckConstraint(condition=Q(filled_quantity__gte=0), name="order_filled_not_negative"),
            models.CheckConstraint(
                condition=Q(closed_elsewhere=0) | Q(leg=Leg.ENTRY.value),
                name="closed_elsewhere_of_an_entry",
            ),
            models.CheckConstraint(
                condition=Q(status="CREATED")
                | Q(status="NOT_PLACED")
                | Q(order_id__isnull=False, sent_at__isnull=False)
                # Named by the broker itself: it holds an order that we never noted as sent.
                | Q(perm_id__gt=0),
                name="order_written_ahead",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "id"], condition=Q(status__in=_OPEN_WORDS), name="order_open"),
            models.Index(fields=["account", "id"], condition=LACKS_DEALS, name="order_lacks_deals"),
        ]

    def __str__(self) -> str:
        return self.order_ref

    @property
    def display_status(self) -> str:
        """The status in the words the API and the pages show."""
        return display_status(OrderStatus(self.status), filled_any=self.filled_quantity > 0)


def open_quantity_of(orders: Iterable[Order]) -> Decimal:
    """Return how many shares are open of one bracket's or execution's orders; negative where too much was closed."""
    return sum(
        (-o.filled_quantity if Leg(o.leg).is_exit else o.filled_quantity - o.closed_elsewhere for o in orders),
        Decimal(0),
    )


class Fill(models.Model):
    """One deal on an order. A correction supersedes the deal it replaces; superseded deals count for nothing.

    A bust is a correction to nothing: it is superseded from the beginning.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    exec_id = models.CharField(max_length=64, unique=True)
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    price = models.DecimalField(max_digits=20, decimal_places=8)
    executed_at = models.DateTimeField()
    # What the order had filled with it, by the broker's count; null where that was not told.
    cumulative = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    superseded = models.BooleanField(default=False)

    class Meta:
        ordering = ["executed_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0) | Q(quantity=0, superseded=True), name="fill_quantity_positive"
            )
        ]

    def __str__(self) -> str:
        return f"{plain(self.quantity)} at {plain(self.price, places_min=2)}"


class Commission(models.Model):
    """Cost and realised P&L of one deal, by `exec_id`; `fill` is null while the deal itself has not arrived."""

    exec_id = models.CharField(max_length=64, unique=True)
    fill = models.OneToOneField(Fill, on_delete=models.PROTECT, null=True, related_name="commission")
    amount = models.DecimalField(max_digits=20, decimal_places=8)
    currency = models.CharField(max_length=8)
    realized_pnl = models.DecimalField(max_digits=20, decimal_places=8, null=True)

    def __str__(self) -> str:
        return f"{plain(self.amount, places_min=2)} {self.currency}"


class BrokerEvent(models.Model):
    """One thing the broker told us, stored as told before it was interpreted. Rows are only ever added."""

    dedupe_key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32)
    account = models.CharField(max_length=32, blank=True)
    payload = models.JSONField()
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="events")
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, null=True, related_name="events")
    received_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["execution", "id"], name="event_by_execution"),
            models.Index(
                fields=["account", "id"], condition=Q(kind="fill_told", order__isnull=True), name="event_foreign_deal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"


class Actor(StrEnum):
    """Who decided something."""

    PERSON = "PERSON"
    GUARD = "GUARD"
    RECONCILE = "RECONCILE"
    SWEEP = "SWEEP"
    KILL_SWITCH = "KILL_SWITCH"


class Decision(models.Model):
    """One thing we decided to do, or to leave to a person: who, what, why, with which evidence. Only ever added."""

    actor = models.CharField(max_length=16, choices=_choices(Actor))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="decisions")
    action = models.CharField(max_length=32)
    reason = models.TextField()
    evidence = models.JSONField(default=dict)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="decisions")
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, null=True, related_name="decisions")
    bracket = models.ForeignKey(Bracket, on_delete=models.PROTECT, null=True, related_name="decisions")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="decisions")
    decided_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["bracket", "decided_at"], name="decision_by_bracket"),
            models.Index(fields=["execution", "id"], name="decision_by_execution"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action}"


class OrderCommand(models.Model):
    """One thing to be sent about an order: who wanted it and why, when it was sent, and what settled it.

    What was wanted never changes. `tried_at` is the sender's last look at it, `sent_at` its last sending, noted before
    the first byte. A settled command is history: the database refuses to change it.
    """

    kind = models.CharField(max_length=8, choices=_choices(CommandKind))
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="commands", db_index=False)
    bracket = models.ForeignKey(Bracket, on_delete=models.PROTECT, related_name="commands", db_index=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="commands")
    actor = models.CharField(max_length=16, choices=_choices(Actor))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    reason_code = models.CharField(max_length=64)
    evidence = models.JSONField(default=dict)
    change = models.JSONField(default=dict)
    requested_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    settled_how = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "kind"], condition=Q(settled_at__isnull=True), name="one_unsettled_command_of_a_kind"
            ),
            models.CheckConstraint(
                condition=Q(settled_at__isnull=True, settled_how="") | Q(settled_at__isnull=False, settled_how__gt=""),
                name="command_settled_by_something",
            ),
        ]
        indexes = [
            models.Index(fields=["execution", "id"], name="command_by_execution"),
            models.Index(fields=["requested_at"], condition=Q(settled_at__isnull=True), name="command_unsettled"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reason_code} #{self.pk}"


class ReconcileRun(models.Model):
    """One comparison of our rows with the broker's answer: what was answered, what differed, what was done."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="reconcile_runs")
    client_id = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    is_complete = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    answered = models.JSONField(default=dict)
    differences = models.JSONField(default=list)
    actions = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-id"], name="reconcile_by_account")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.started_at:%Y-%m-%d %H:%M:%S}"
