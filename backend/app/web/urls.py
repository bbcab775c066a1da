"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from app.web import (
    account_figures,
    alert_pages,
    close_pages,
    execution_detail_page,
    execution_pages,
    kill_switch_pages,
    login,
    login_pages,
    move_pages,
    pages,
    resolve_pages,
    setup_pages,
    setup_plan_pages,
    stream,
)

app_name = "web"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="web:setup-list"), name="home"),
    path("login/", login.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("logins/", login_pages.login_list, name="login-list"),
    path("logins/end/", login_pages.login_end_all, name="login-end-all"),
    path("favicon.ico", pages.no_icon),
    path("figures/", account_figures.account_figures, name="account-figures"),
    path("live/stream", stream.live_stream, name="live-stream"),
    path("live/now", stream.live_now, name="live-now"),
    path("alerts/", alert_pages.alert_list, name="alert-list"),
    path("alerts/<int:pk>/seen/", alert_pages.alert_seen, name="alert-seen"),
    path("kill-switch/", kill_switch_pages.kill_switch_page, name="kill-switch"),
    path("kill-switch/engage/", kill_switch_pages.kill_switch_stop, name="kill-switch-engage"),
    path("kill-switch/release/", kill_switch_pages.kill_switch_go_on, name="kill-switch-release"),
    path("setups/", setup_pages.setup_list, name="setup-list"),
    path("setups/new/", setup_plan_pages.setup_create, name="setup-create"),
    path("setups/<int:pk>/", setup_pages.setup_detail, name="setup-detail"),
    path("setups/<int:pk>/edit/", setup_plan_pages.setup_edit, name="setup-edit"),
    path("setups/<int:pk>/restore/", setup_pages.setup_bring_back, name="setup-restore"),
    path("setups/<int:pk>/execute/", setup_pages.setup_execute, name="setup-execute"),
    path("setups/<int:pk>/archive/", setup_pages.setup_put_away, name="setup-archive"),
    path("executions/", execution_pages.execution_list, name="execution-list"),
    path("executions/<int:pk>/", execution_detail_page.execution_detail, name="execution-detail"),
    path("executions/<int:pk>/seen/", execution_pages.execution_look, name="execution-seen"),
    path("executions/<int:pk>/move/", move_pages.execution_move, name="execution-move"),
    path("executions/<int:pk>/resolve/", resolve_pages.execution_settle, name="execution-resolve"),
    path("executions/<int:pk>/close/", close_pages.execution_close, name="execution-close"),
    path("executions/<int:pk>/cancel/", execution_pages.execution_cancel, name="execution-cancel"),
]
