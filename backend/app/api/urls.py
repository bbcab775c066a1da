"""Addresses under `/api/`. Each is accepted with and without its trailing slash."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path, re_path

from app.api import (
    account_views,
    alert_views,
    close_views,
    description_views,
    execution_views,
    health,
    kill_switch_views,
    move_views,
    resolve_views,
    setup_views,
    token_views,
)

app_name = "api"


def _both(route: str, view: Callable[..., Any], name: str) -> list[URLPattern]:
    return [path(route, view, name=name), path(route.rstrip("/"), view)]


urlpatterns = [
    *_both("v1/token/", token_views.TokenView.as_view(), "token"),
    *_both("v1/setups/", setup_views.SetupCollection.as_view(), "setups"),
    *_both("v1/setups/<int:pk>/", setup_views.SetupItem.as_view(), "setup"),
    *_both("v1/setups/<int:pk>/archive/", setup_views.SetupArchive.as_view(), "setup-archive"),
    *_both("v1/setups/<int:pk>/restore/", setup_views.SetupRestore.as_view(), "setup-restore"),
    *_both("v1/setups/<int:pk>/execute/", setup_views.SetupExecute.as_view(), "setup-execute"),
    *_both("v1/executions/", execution_views.ExecutionCollection.as_view(), "executions"),
    *_both("v1/executions/<int:pk>/", execution_views.ExecutionItem.as_view(), "execution"),
    *_both("v1/executions/<int:pk>/seen/", execution_views.ExecutionSeen.as_view(), "execution-seen"),
    *_both("v1/executions/<int:pk>/cancel/", execution_views.ExecutionCancel.as_view(), "execution-cancel"),
    *_both("v1/executions/<int:pk>/close/", close_views.ExecutionClose.as_view(), "execution-close"),
    *_both("v1/executions/<int:pk>/resolve/", resolve_views.ExecutionResolve.as_view(), "execution-resolve"),
    *_both("v1/executions/<int:pk>/stop/", move_views.StopMove.as_view(), "execution-stop"),
    *_both("v1/executions/<int:pk>/targets/<int:tranche>/", move_views.TargetMove.as_view(), "execution-target"),
    *_both("v1/accounts/", account_views.AccountCollection.as_view(), "accounts"),
    *_both("v1/accounts/<slug:account_id>/", account_views.AccountItem.as_view(), "account"),
    *_both(
        "v1/accounts/<slug:account_id>/kill-switch/",
        kill_switch_views.AccountKillSwitch.as_view(),
        "account-kill-switch",
    ),
    *_both(
        "v1/accounts/<slug:account_id>/kill-switch/release/",
        kill_switch_views.AccountKillSwitchRelease.as_view(),
        "account-kill-switch-release",
    ),
    *_both("v1/alerts/", alert_views.AlertCollection.as_view(), "alerts"),
    *_both("v1/alerts/<int:pk>/acknowledge/", alert_views.AlertAcknowledge.as_view(), "alert-acknowledge"),
    *_both("v1/kill-switch/", kill_switch_views.KillSwitchOfAll.as_view(), "kill-switch"),
    *_both("v1/kill-switch/release/", kill_switch_views.KillSwitchOfAllRelease.as_view(), "kill-switch-release"),
    *_both("schema/", description_views.Description.as_view(), "schema"),
    *_both("docs/", description_views.DescriptionPage.as_view(url_name="api:schema"), "docs"),
    re_path(r"", health.unknown_address),
]
