"""States and reasons in a trader's words (`{{ execution|why }}`)."""

from django import template

from app.executions.services.kill_switch import kill_switch_said_again
from app.web.execution_words import exit_words, why_words

register = template.Library()


@register.filter
def spaced(code: str) -> str:
    """Return a code as people write it: `STOP LIMIT`."""
    return code.replace("_", " ")


register.filter("why", why_words)
register.filter("exit_words", exit_words)
register.filter("said_again", kill_switch_said_again)
