"""Why a person must look at an execution, as rows: raised, resolved, seen. `models` has it beside the others."""

from django.conf import settings
from django.db import models

from app.domain.reasons import FLAGS, Flag, FlagCode, RaisedBy


class ExecutionFlag(models.Model):
    """One reason why a person must look at an execution: raised once, kept for good, seen by somebody or not yet.

    `sentence` says what was found, with its numbers; what it means and what to do says `nature`.
    """

    execution = models.ForeignKey("executions.Execution", on_delete=models.PROTECT, related_name="flags")
    code = models.CharField(max_length=64)  # a FlagCode
    sentence = models.TextField()
    raised_at = models.DateTimeField(null=True)  # Not known of what was raised before there were flags.
    raised_by = models.CharField(max_length=16, default=RaisedBy.UNKNOWN.value)
    resolved_at = models.DateTimeField(null=True)
    resolved_how = models.CharField(max_length=64, blank=True)
    seen_at = models.DateTimeField(null=True)
    seen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["execution", "sentence"],
                condition=models.Q(resolved_at__isnull=True),
                name="one_unresolved_flag_per_sentence",
            ),
            models.CheckConstraint(
                condition=models.Q(resolved_at__isnull=True, resolved_how="")
                | models.Q(resolved_at__isnull=False, resolved_how__gt=""),
                name="flag_resolved_by_something",
            ),
        ]
        indexes = [
            models.Index(fields=["execution"], condition=models.Q(resolved_at__isnull=True), name="flag_unresolved")
        ]

    def __str__(self) -> str:
        return self.sentence

    @property
    def nature(self) -> Flag:
        """What a flag of this code means, and what to do."""
        known = {code.value: flag for code, flag in FLAGS.items()}
        return known.get(self.code, FLAGS[FlagCode.EARLIER])
