"""The setups app."""

from django.apps import AppConfig


class SetupsConfig(AppConfig):
    name = "app.setups"
    label = "setups"
