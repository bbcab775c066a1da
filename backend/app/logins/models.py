"""Logins, and how often passwords were tried."""

from enum import StrEnum

from django.conf import settings
from django.db import models


class Road(StrEnum):
    """Where a name and a password were given."""

    PAGE = "PAGE"
    ADMIN = "ADMIN"
    TOKEN = "TOKEN"  # noqa: S105 - no password


class AttemptCount(models.Model):
    """How many passwords were wrong, or are being looked at, under one key until `expires_at`.

    A key is a name, an address or a browser. `looking` of `count` are looked at now; `refused` came on top.
    """

    key = models.CharField(max_length=100, primary_key=True)
    count = models.PositiveIntegerField()
    looking = models.PositiveIntegerField(db_default=0)
    refused = models.PositiveIntegerField(db_default=0)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key} {self.count}"


class Login(models.Model):
    """One time that a right password was given. `network` is what attempts are counted by.

    `session_digest` names the session without telling its key, which would let its reader in; a token has none.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="logins")
    road = models.CharField(max_length=8, choices=[(road.value, road.value) for road in Road])
    address = models.CharField(max_length=64)
    network = models.CharField(max_length=64)
    browser = models.CharField(max_length=200, blank=True)
    session_digest = models.CharField(max_length=64, blank=True, db_index=True)
    at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["user", "network", "at"], name="login_known_address")]

    def __str__(self) -> str:
        return f"{self.user} {self.road} {self.address}"
