"""What the guard leaves to a person: what only a person can decide, and what it has tried too often."""

from datetime import datetime

from app.accounts.models import BrokerConnection
from app.domain.order_room import is_refused_for_room
from app.domain.protection import Repair, RepairKind
from app.domain.reasons import FlagCode
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Execution, Order
from app.executions.services.attention import attention_add
from app.executions.services.connection_row import is_foreign
from app.executions.services.guard_bounds import refused_alike, repairs_lately, replaced_in_vain
from app.executions.services.guard_words import came_of, last_protect
from app.executions.services.tranches_net import tranches_net

REPAIRS_MAX = 5


def left_to_a_person(
    execution: Execution,
    bracket: Bracket,
    repair: Repair,
    *,
    order: Order | None,
    lacks_room: bool,
    holder: BrokerConnection,
    now: datetime,
) -> bool:
    """Ask a person where nothing is to be sent; say whether that is so.

    Before anything is given up for the repair: a target whose place is taken for a stop that is not sent is lost.
    """
    of_tranche = f"tranche {bracket.tranche}: {repair.reason}"
    said = ""
    if repair.kind is RepairKind.ASK:
        said = "" if tranches_net(execution, now=now) else of_tranche
    elif order is not None and is_foreign(order, holder):
        said = f"{order.order_ref}: {repair.reason}; only client id {order.client_id} can change it"
    elif repair.kind is not RepairKind.CANCEL_ENTRY and repairs_lately(bracket.pk, now=now) >= REPAIRS_MAX:
        in_vain = f"{REPAIRS_MAX} repairs in a minute did not help"
        said = f"{of_tranche}; {in_vain}{came_of(last_protect(bracket), is_last=True)}"
    elif repair.kind is RepairKind.PLACE_STOP and replaced_in_vain(bracket, now=now):
        said = f"{of_tranche}; its replacements were cancelled by hand, so none is placed"
    elif repair.kind is RepairKind.PLACE_STOP and (refused := refused_alike(bracket, now=now)) is not None:
        # What was refused for want of room is tried again as soon as a target has given its place.
        if lacks_room and is_refused_for_room(code=refused.last_error_code, text=refused.last_error):
            return False
        came = came_of(refused, is_last=True)
        said = f"{of_tranche}{came}, as the one before; it is tried at longer and longer intervals"
    if said:
        person_ask(execution, said, now=now)
    return bool(said) or repair.kind is RepairKind.ASK


def person_ask(execution: Execution, text: str, *, now: datetime) -> None:
    """Flag the execution, which the caller has locked; each sentence once."""
    before = execution.attention
    attention_add(execution, text, code=FlagCode.GUARD_ASKS)
    if execution.attention == before:
        return
    execution.save(update_fields=["attention"])
    decision_record(
        actor=Actor.GUARD, action="ASK", reason=text, account=execution.account, execution=execution, now=now
    )
    news.publish_on_commit(execution.pk)
