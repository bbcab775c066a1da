"""What changes on each page while it is open, read from the rows: small parts of it, each by the id it has there.

    parts    id of an element ──> its HTML         only what differs from before is sent
    lists    id of a list ──> the ids of its rows  new rows appear in their place, rows that are gone are taken out
    shown    id of an element ──> whether to show it; forms are shown and hidden, never sent again
    spoken   a topic ──> its sentence for a screen reader, and whether it may interrupt

A page names what is to be looked at in its `live` block (`view=execution&id=7`); the same templates draw the page and
its parts. What the user may not see is not looked at, so that neither a new row nor a change of one gets out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404, HttpRequest, QueryDict
from django.shortcuts import get_object_or_404
from django.template.loader import get_template, render_to_string

from app.accounts.access import may_see_accounts
from app.executions.models import Execution
from app.executions.news import ALL_EXECUTIONS, channel_of
from app.setups.models import Setup
from app.setups.selectors import setups_visible_to
from app.web.alert_pages import alert_list_context
from app.web.context import trading_now
from app.web.execution_pages import execution_context, execution_of, executions_asked_for
from app.web.kill_switch_pages import kill_switch_context
from app.web.setup_pages import executions_of_setup, setup_doable, setups_asked_for
from app.web.unseen_signs import page_with_signs_shown, signs_shown

Say = tuple[str, bool]
ID_DIGITS_MAX = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Who asks for what: the request with its user, the page's `live` block, and the token for forms in rows.

    The token is made once for each stream: it is written differently each time, and every look would seem a change.
    """

    request: HttpRequest
    query: QueryDict
    csrf_token: str

    def number(self, name: str = "id") -> int:
        """Return the id, or another number, asked for. Raises Http404."""
        number = self.query.get(name, "")
        if not (number.isascii() and number.isdigit() and len(number) <= ID_DIGITS_MAX):
            raise Http404
        return int(number)


@dataclass(kw_only=True, slots=True)
class Seen:
    """What one look found."""

    parts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    shown: dict[str, bool] = field(default_factory=dict)
    spoken: dict[str, Say] = field(default_factory=dict)

    def all(self) -> dict[str, Any]:
        """Return everything, as it is sent first."""
        return {"parts": self.parts, "lists": self.lists, "shown": self.shown, "spoken": self.spoken}

    def since(self, before: "Seen") -> dict[str, Any]:
        """Return what differs from an earlier look; {} where nothing does."""
        earlier = before.all()
        changed = {
            kind: {
                name: value for name, value in now.items() if name not in earlier[kind] or earlier[kind][name] != value
            }
            for kind, now in self.all().items()
        }
        return {kind: values for kind, values in changed.items() if values}

    def rows(self, list_id: str, template: str, things: Iterable[Any], *, name: str, prefix: str = "") -> None:
        """Add a list. `template` draws a row and knows its thing as `name`; the row's id is `<prefix or name>-<pk>`."""
        draw, ids = get_template(template), []
        for thing in things:
            ids.append(f"{prefix or name}-{thing.pk}")
            self.parts[ids[-1]] = draw.render({name: thing}).strip()
        self.lists[list_id] = ids


def look_of(asked: Asked) -> Seen:
    """Return what the page that asks shows now. Raises Http404 where it may not be seen, or is no page of ours."""
    seen = _view(asked.query)(asked)
    seen.parts["banner"] = render_to_string("web/parts/banner.html", request=asked.request).strip()
    trading = trading_now()
    seen.spoken["banner"] = (f"Broker: {trading.state}.", not trading.ready)
    seen.parts = {name: page_with_signs_shown(html) for name, html in seen.parts.items()}
    seen.spoken = {topic: (signs_shown(sentence), at_once) for topic, (sentence, at_once) in seen.spoken.items()}
    return seen


def topic_of(asked: Asked) -> str:
    """Return the topic of Redis whose news concern this page, "" for none. Raises Http404 for no page of ours."""
    view = _view(asked.query)
    if view is _execution:
        return channel_of(asked.number())
    return ALL_EXECUTIONS if view in (_executions, _setup, _setups) else ""


def _view(query: QueryDict) -> "View":
    view = VIEWS.get(query.get("view", ""))
    if view is None:
        raise Http404
    return view


def _plain(_asked: Asked) -> Seen:
    return Seen()


def _execution(asked: Asked) -> Seen:
    execution = execution_of(asked.request, pk=asked.number())
    context, seen = execution_context(asked.request, execution) | {"csrf_token": asked.csrf_token}, Seen()
    for part in ("head", "notes", "facts"):
        seen.parts[f"execution-{part}"] = _drawn(f"web/parts/execution_{part}.html", context)
    for bracket in execution.brackets.all():
        seen.parts[f"bracket-{bracket.pk}"] = _drawn("web/parts/bracket_head.html", {"bracket": bracket})
        seen.rows(f"bracket-{bracket.pk}-orders", "web/parts/order_row.html", bracket.orders.all(), name="order")
    seen.rows("fills", "web/parts/fill_row.html", context["deals"], name="fill")
    seen.rows("events", "web/parts/event_row.html", context["events"], name="event")
    seen.parts["events-count"] = _drawn("web/parts/event_count.html", context)
    seen.shown = {
        "execution-cancel": context["may_cancel"],
        "fills-table": bool(context["deals"]),
        "fills-none": not context["deals"],
    }
    seen.spoken["execution"] = outcome_of(execution)
    return seen


def outcome_of(execution: Execution) -> Say:
    """Return the sentence that says where an execution stands, and whether it may interrupt a screen reader."""
    held = f"{execution.open_quantity.normalize():f} of {execution.quantity.normalize():f} shares held"
    sentence = f"{execution.symbol} execution {execution.pk} is {execution.status.replace('_', ' ')}, {held}."
    if execution.reason:
        sentence += f" {execution.reason}"
    return sentence, execution.status in ("REJECTED", "NOT_PLACED") or bool(execution.attention)


def _executions(asked: Asked) -> Seen:
    context, seen = executions_asked_for(asked.request, asked.query), Seen()
    page = context["page"]
    seen.rows("executions", "web/parts/execution_row.html", page.rows, name="execution")
    seen.parts["older"] = _drawn("web/parts/older.html", context)
    seen.shown = {"executions-table": bool(page.rows), "executions-none": not page.rows}
    return seen


def _setups(asked: Asked) -> Seen:
    seen = Seen()
    for setup in setups_asked_for(asked.request, asked.query)["page"].rows:
        seen.parts[f"setup-{setup.pk}-state"] = _drawn("web/parts/setup_state.html", {"setup": setup})
    return seen


def _setup(asked: Asked) -> Seen:
    setup = get_object_or_404(setups_visible_to(asked.request.user), pk=asked.number())
    executions, seen = list(executions_of_setup(asked.request, setup)), Seen()
    seen.parts[f"setup-{setup.pk}-state"] = _drawn("web/parts/setup_state.html", {"setup": setup})
    seen.rows("executions", "web/parts/execution_row.html", executions, name="execution")
    seen.shown = {"executions-table": bool(executions), "executions-none": not executions}
    if executions:
        seen.spoken["execution"] = outcome_of(executions[0])
    _add_what_can_be_done(asked, setup, seen)
    return seen


def _add_what_can_be_done(asked: Asked, setup: Setup, seen: Seen) -> None:
    """Add the reason and the button; the forms stay in the page, with the plan that it showed, and are only hidden."""
    revision = asked.number("revision") if "revision" in asked.query else None
    context = setup_doable(asked.request, setup, shown=revision) | {"setup": setup}
    is_archived, why_not = context["is_archived"], context["why_not"]
    seen.shown |= {"setup-archived": is_archived or not context["may_act"]}
    if not context["may_act"]:
        return
    seen.parts["why-not"] = _drawn("web/parts/setup_why_not.html", context)
    seen.parts["setup-execute"] = _drawn("web/parts/setup_execute.html", context)
    seen.shown |= {
        "setup-current": not is_archived,
        "setup-edit": setup.state == "DRAFT",
        "setup-real-money": why_not is None,
    }
    sentence = "is archived." if is_archived else f"cannot be executed now: {why_not.message}" if why_not else ""
    seen.spoken["setup"] = (f"{setup.symbol} #{setup.pk} {sentence or 'can be executed.'}", False)


def _kill_switch(asked: Asked) -> Seen:
    if not may_see_accounts(asked.request.user):
        raise Http404
    context, seen = kill_switch_context(asked.request), Seen()
    draw = get_template("web/parts/kill_switch_stop.html")
    for switch in context["engaged"]:
        seen.parts[f"stop-{switch.pk}"] = draw.render(
            context | {"switch": switch, "csrf_token": asked.csrf_token}
        ).strip()
        seen.spoken[f"stop-{switch.pk}"] = (f"Trading is stopped: {switch.subject}.", True)
    if not context["engaged"]:
        seen.spoken["stops-none"] = ("Nothing is stopped: setups can be executed.", False)
    seen.lists["stops"] = [f"stop-{switch.pk}" for switch in context["engaged"]]
    seen.rows("stops-past", "web/parts/kill_switch_past.html", context["history"], name="switch", prefix="past")
    seen.shown = {
        "stops-none": not context["engaged"],
        "stop-more": context["may_stop_more"],
        "stop-another": bool(context["engaged"]),
        "stops-history": bool(context["history"]),
    }
    return seen


def _alerts(asked: Asked) -> Seen:
    context, seen = alert_list_context(asked.request), Seen()
    draw = get_template("web/parts/alert_open.html")
    for alert, may_acknowledge in context["open"]:
        shown = {"alert": alert, "may_acknowledge": may_acknowledge, "csrf_token": asked.csrf_token}
        seen.parts[f"alert-{alert.pk}"] = draw.render(shown).strip()
    seen.lists["alerts"] = [f"alert-{alert.pk}" for alert, _ in context["open"]]
    seen.rows("alerts-past", "web/parts/alert_past.html", context["past"], name="alert", prefix="over")
    seen.shown = {"alerts-none": not context["open"], "alerts-over": bool(context["past"])}
    return seen


def _drawn(template: str, context: dict[str, Any]) -> str:
    return get_template(template).render(context).strip()


View = Callable[[Asked], Seen]
VIEWS: dict[str, View] = {
    "plain": _plain,
    "execution": _execution,
    "executions": _executions,
    "setups": _setups,
    "setup": _setup,
    "alerts": _alerts,
    "kill-switch": _kill_switch,
}
