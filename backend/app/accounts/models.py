"""Broker accounts and the connections to them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from app.brokers.base import ConnectionState

PAPER_PREFIX = "D"


class Account(models.Model):
    """A broker account we may trade, by the broker's id. Whether it is paper follows from the id alone."""

    account_id = models.CharField(max_length=32, unique=True)
    currency = models.CharField(max_length=8, blank=True)
    net_liquidation = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    available_funds = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    buying_power = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    worth_updated_at = models.DateTimeField(null=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["account_id"]
        permissions = [("trade_live", "May execute setups on live accounts")]
        constraints = [models.CheckConstraint(condition=~Q(account_id=""), name="account_id_not_empty")]

    def __str__(self) -> str:
        return self.account_id

    @property
    def is_paper(self) -> bool:
        """Whether orders on this account move no real money (DU…, DUH…, DF…)."""
        return self.account_id.startswith(PAPER_PREFIX)

    @property
    def mode(self) -> str:
        """`paper` or `live`."""
        return "paper" if self.is_paper else "live"


class Position(models.Model):
    """What an account holds of one instrument, as the broker reported it last, and how it is shared out.

    `others` is what is not ours: held before us, or traded by somebody else, of either sign. What our brackets claim
    stands in the executions. The three add up (see domain.exposure), or a difference is noted: `disputed` by how much
    the reports have disagreed since `disputed_since`, `unexplained` what nobody explains and a person has to settle.
    `deals_judged_to` is the last stored broker event of a deal that is not ours and was taken into account here.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="positions")
    con_id = models.BigIntegerField()
    symbol = models.CharField(max_length=32)
    security_type = models.CharField(max_length=8)
    currency = models.CharField(max_length=8)
    quantity = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    average_cost = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    others = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    disputed = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    disputed_since = models.DateTimeField(null=True)
    unexplained = models.DecimalField(max_digits=20, decimal_places=4, default=0)
    deals_judged_to = models.BigIntegerField(default=0)
    reported_at = models.DateTimeField()

    class Meta:
        ordering = ["account_id", "symbol", "con_id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "con_id"], name="one_position_per_instrument"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} {self.symbol}"

    @property
    def in_doubt(self) -> bool:
        """Whether the last report disagrees with our books, so that nothing new may be placed on them."""
        return self.disputed_since is not None


class BrokerConnection(models.Model):
    """One client id on one account: where the connection stands, and the order id nothing may go below again.

    Order ids roll back when a Gateway restarts (IB_FACTS B4), so `order_id_floor` is raised, durably, before an id is
    used. `fence` is raised by whoever becomes the holder (see `fencing`); `holder_name` is what its database sessions
    are called, `holder_process` names its process. `failures` are the last ones, {"at", "code"}: the circuit breaker's.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="connections")
    client_id = models.PositiveIntegerField()
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in ConnectionState],
        default=ConnectionState.DISCONNECTED.value,
    )
    reason = models.TextField(blank=True)
    server_version = models.PositiveIntegerField(default=0)
    order_id_floor = models.BigIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    holder_name = models.CharField(max_length=63, blank=True)
    holder_process = models.CharField(max_length=200, blank=True)
    failures = models.JSONField(default=list)
    state_changed_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    gateway_heard_at = models.DateTimeField(null=True)
    events_waiting = models.PositiveIntegerField(default=0)
    oldest_event_at = models.DateTimeField(null=True)
    reconciled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_id"], name="one_row_per_account_and_client_id"),
            models.CheckConstraint(condition=Q(order_id_floor__gte=0), name="order_id_floor_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}/{self.client_id} {self.state}"


class WorkerSign(models.Model):
    """The sign of life of the worker of one client id while no connection's row can carry it. The data worker's never
    can, so its sign is always here (see worker.data_thread).

    A row needs an account, and where IB_ACCOUNT names none only the Gateway tells which one it is. Until it has, the
    worker says here that it lives (`seen_at`), since when (`started_at`), and how its last try to connect ended.
    """

    client_id = models.PositiveIntegerField(unique=True)
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in ConnectionState])
    reason = models.TextField(blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"client {self.client_id} {self.state}"


class KillSwitch(models.Model):
    """One time that trading was stopped: on one account, or on all where `account` is null. Rows are never deleted.

    While it is engaged no new entry is sent and working entries are cancelled; protective orders go on. With `flatten`
    every position of ours is closed as well. Engaged from the command line, `engaged_by` is null.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="kill_switches")
    reason = models.TextField()
    flatten = models.BooleanField(default=False)
    engaged_at = models.DateTimeField()
    engaged_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    released_at = models.DateTimeField(null=True)
    released_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    release_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "kill switches"
        permissions = [
            ("engage_kill_switch", "May stop trading"),
            ("release_kill_switch", "May let trading go on after it was stopped"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(released_at__isnull=True),
                nulls_distinct=False,
                name="one_engaged_kill_switch_per_account",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="kill_switch_reason_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {'engaged' if self.is_engaged else 'released'}"

    @property
    def is_engaged(self) -> bool:
        """Whether it is still in force."""
        return self.released_at is None

    @property
    def subject(self) -> str:
        """The account's id, or `all accounts`."""
        return str(self.account) if self.account else "all accounts"


class RoleGrant(models.Model):
    """A permission that a role's group was given when it was new.

    It is not given again: whether the group has it today is for the admins to say.
    """

    role = models.CharField(max_length=150)
    codename = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "codename"], name="role_is_given_a_permission_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.codename}"
