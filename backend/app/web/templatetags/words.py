"""States and reasons in a trader's words (`{{ execution|why }}`)."""

from django import template

from app.web.execution_words import exit_words, why_words

register = template.Library()
register.filter("why", why_words)
register.filter("exit_words", exit_words)
