"""Executions, commissions, positions and cash: what fills leave behind.

Commissions are computed in `commissions.py`. Average cost contains them and realised P&L is net of them, as IB reports
both.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from ib_simulator.desk.orders import Order
from ib_simulator.faults.scenario import Scenario
from ib_simulator.market.hours import ZONE
from ib_simulator.market.instruments import Instrument
from ib_simulator.money.commissions import Deal, Schedule, deal_commission

STARTING_CASH = Decimal("1000000.00")
LIQUIDITY_ADDED = 1


@dataclass
class Position:
    """Shares or contracts held (negative: short) and what each cost, commissions included (USD).

    The cost of an option is that of the whole contract: its price times the multiplier, as IB reports it.
    """

    account: str
    instrument: Instrument
    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)
    realized_pnl: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Execution:
    """One deal. `realized_pnl` is None on an opening trade; `side` is BOT or SLD."""

    exec_id: str
    order_sequence: int
    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    account: str
    instrument: Instrument
    exchange: str
    side: str
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    average_price: Decimal
    time: datetime
    commission: Decimal
    realized_pnl: Decimal | None
    liquidity: int
    currency: str = "USD"

    @property
    def signed_quantity(self) -> Decimal:
        """Return the units bought, negative when sold."""
        return self.quantity if self.side == "BOT" else -self.quantity

    @property
    def deal_name(self) -> str:
        """Return what all revisions of a deal share: its id without the digits after the last period."""
        return self.exec_id.rpartition(".")[0]


@dataclass
class DayFlow:
    """What was traded of one instrument on one day in New York: units bought less sold, and what they cost (USD)."""

    day: date
    quantity: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)


@dataclass
class MonthVolume:
    """How many shares (or contracts) an account has traded in a month; what tiered commissions depend on."""

    month: tuple[int, int]
    quantity: Decimal = Decimal(0)


def units_per_contract(instrument: Instrument) -> Decimal:
    """Return how many units of the price one contract stands for: 1 for a stock, most often 100 for an option."""
    return Decimal(instrument.multiplier or 1)


def trading_date(moment: datetime) -> date:
    """Return the day in New York."""
    return moment.astimezone(ZONE).date()


class Ledger:
    """Books executions to positions and cash. `touched_positions` and `new_executions` wait for the journal."""

    def __init__(self, *, accounts: tuple[str, ...], seed: int, scenario: Scenario | None = None) -> None:
        self.accounts = accounts
        self._scenario = scenario or Scenario()
        self._exec_prefix = f"{(seed * 2654435761) & 0xFFFFFFFF:08x}"
        self.executions: list[Execution] = []
        self._positions: dict[tuple[str, str], Position] = {}
        self._flows: dict[tuple[str, str], DayFlow] = {}
        self._revisions: dict[str, Execution] = {}
        # Where positions that were set from outside began, and how many executions there were by then.
        self._beginnings: dict[tuple[str, str], tuple[Position, int]] = {}
        self._volumes: dict[tuple[str, str], MonthVolume] = {}
        self.cash = dict.fromkeys(accounts, STARTING_CASH)
        self.values: dict[tuple[str, str], str] = {}
        self.new_executions: list[Execution] = []
        self.touched_positions: dict[tuple[str, str], Position] = {}
        self.touched_values: set[tuple[str, str]] = set()

    def positions(self, account: str | None = None) -> list[Position]:
        """Return positions that are not flat."""
        return [
            position
            for position in self._positions.values()
            if position.quantity and account in {None, position.account}
        ]

    def position(self, account: str, instrument: Instrument) -> Position:
        key = (account, instrument.key)
        if key not in self._positions:
            self._positions[key] = Position(account, instrument)
        return self._positions[key]

    def held(self, account: str, instrument: Instrument) -> Decimal:
        """Return how much is held, 0 for what never was."""
        position = self._positions.get((account, instrument.key))
        return position.quantity if position is not None else Decimal(0)

    def set_position(self, position: Position) -> None:
        key = (position.account, position.instrument.key)
        self._positions[key] = position
        self._beginnings[key] = (replace(position), len(self.executions))
        self.touched_positions[key] = position

    def touch_position(self, position: Position) -> None:
        """Say that a position changed: it will be written to the journal."""
        self.touched_positions[position.account, position.instrument.key] = position

    def restore_position(self, position: Position) -> None:
        """Enter a position of the journal."""
        self._positions[position.account, position.instrument.key] = position

    def known_positions(self, account: str) -> list[Position]:
        """Return the account's positions, also those that are flat by now."""
        return [position for position in self._positions.values() if position.account == account]

    def day_flow(self, account: str, instrument: Instrument, *, day: date) -> DayFlow:
        """Return what was traded on a day; nothing unless it is the last day this instrument was traded on."""
        flow = self._flows.get((account, instrument.key))
        return flow if flow is not None and flow.day == day else DayFlow(day)

    def realized_pnl(self, account: str) -> Decimal:
        return sum((held.realized_pnl for held in self._positions.values() if held.account == account), Decimal(0))

    def set_value(self, *, account: str, key: str, value: str) -> None:
        self.values[account, key] = value
        self.touched_values.add((account, key))

    def record(
        self,
        order: Order,
        *,
        quantity: Decimal,
        price: Decimal,
        time: datetime,
        liquidity: int,
        exec_id: str | None = None,
    ) -> Execution:
        """Book one deal of an order whose `filled` and `cost` already contain it, and return it."""
        commission = self.commission_of(order, quantity=quantity, price=price, time=time, liquidity=liquidity)
        order.commission += commission
        signed = quantity if order.is_buy else -quantity
        realized = self._book(order.account, order.instrument, signed=signed, price=price, commission=commission)
        execution = Execution(
            exec_id=exec_id or f"{self.next_deal_number()}.01.01",
            order_sequence=order.sequence,
            order_id=order.order_id,
            client_id=order.client_id,
            perm_id=order.perm_id,
            order_ref=order.order_ref,
            account=order.account,
            instrument=order.instrument,
            exchange=order.instrument.primary_exchange,
            side="BOT" if order.is_buy else "SLD",
            quantity=quantity,
            price=price,
            cumulative=order.filled,
            average_price=order.average_price,
            time=time,
            commission=commission,
            realized_pnl=realized,
            liquidity=liquidity,
        )
        self.pay(execution)
        self.enter(execution)
        return execution

    def next_deal_number(self) -> str:
        """Return the first two segments of the next execution id."""
        return f"{self._exec_prefix}.{len(self.executions) + 1:08x}"

    def enter(self, execution: Execution) -> None:
        """Keep an execution that moves nothing by itself, such as that of a whole combination."""
        self._enter(execution)
        self.new_executions.append(execution)

    def expected_commission(self, instrument: Instrument, *, signed: Decimal, price: Decimal) -> Decimal:
        """Return the commission (USD) of an order for `signed` units (negative: a sale) that would fill at once."""
        value = abs(signed) * price * units_per_contract(instrument)
        deal = Deal(instrument, abs(signed), value, price, is_sale=signed < 0)
        return deal_commission(deal, schedule=self._schedule, regulatory_fees=self._charges_regulatory_fees)

    def commission_of(
        self, order: Order, *, quantity: Decimal, price: Decimal, time: datetime, liquidity: int
    ) -> Decimal:
        """Return the commission (USD) of a deal of an order whose `filled` and `cost` already contain it."""
        units = units_per_contract(order.instrument)
        deal = Deal(
            instrument=order.instrument,
            quantity=quantity,
            value=quantity * price * units,
            price=price,
            filled_before=order.filled - quantity,
            value_before=(order.cost - quantity * price) * units,
            volume=self._month_volume(order.account, order.instrument, time=time).quantity,
            is_sale=not order.is_buy,
            takes_liquidity=liquidity != LIQUIDITY_ADDED,
        )
        return deal_commission(deal, schedule=self._schedule, regulatory_fees=self._charges_regulatory_fees)

    @property
    def _schedule(self) -> Schedule:
        return Schedule(self._scenario.switches["commissions"])

    @property
    def _charges_regulatory_fees(self) -> bool:
        return self._scenario.is_on("regulatory_fees", "on")

    def _month_volume(self, account: str, instrument: Instrument, *, time: datetime) -> MonthVolume:
        day = trading_date(time)
        key, month = (account, instrument.sec_type), (day.year, day.month)
        if key not in self._volumes or self._volumes[key].month != month:
            self._volumes[key] = MonthVolume(month)
        return self._volumes[key]

    def restore_execution(self, execution: Execution) -> None:
        """Enter an execution of the journal. Its position is restored by a record of its own."""
        corrected = self.latest_revision(execution.deal_name)
        if corrected is not None:
            self.pay_back(corrected)
        self._enter(execution)
        self.pay(execution)

    def _enter(self, execution: Execution) -> None:
        self.executions.append(execution)
        self._revisions[execution.deal_name] = execution

    def latest_revision(self, deal_name: str) -> Execution | None:
        """Return a deal as it stands, corrections included."""
        return self._revisions.get(deal_name)

    def reported_executions(self) -> list[Execution]:
        """Return what reqExecutions knows, in order: corrected deals with or without what they were, by switch."""
        if self._scenario.is_on("corrected_executions", "both"):
            return list(self.executions)
        return [execution for execution in self.executions if self._revisions[execution.deal_name] is execution]

    def add_correction(self, execution: Execution) -> None:
        """Enter a deal's new revision; `corrections.py` has changed what hangs on it."""
        self._enter(execution)
        self.new_executions.append(execution)

    def correctable_deals(self, position: Position) -> tuple[Position, list[Execution]] | None:
        """Return where a position began and its deals since, as they stand; None when that is not known any more.

        A position set from outside begins there. After a restart only positions made of deals alone are known.
        """
        key = (position.account, position.instrument.key)
        begun, first = self._beginnings.get(key, (Position(position.account, position.instrument), 0))
        deals = [
            execution
            for number, execution in enumerate(self.executions)
            if number >= first and (execution.account, execution.instrument.key) == key
        ]
        standing = [self._revisions[name] for name in dict.fromkeys(deal.deal_name for deal in deals)]
        held = begun.quantity + sum((deal.signed_quantity for deal in standing), Decimal(0))
        return (replace(begun), standing) if held == position.quantity else None

    def pay_back(self, execution: Execution) -> None:
        """Take a deal out of cash, the day's flow and the month's volume."""
        self._pay(
            execution.account,
            execution.instrument,
            signed=-execution.signed_quantity,
            price=execution.price,
            commission=-execution.commission,
            time=execution.time,
            volume=-execution.quantity,
        )

    def pay(self, execution: Execution) -> None:
        """Count a deal in cash, the day's flow and the month's volume; a combination's legs count instead of it."""
        if execution.instrument.legs:
            return
        self._pay(
            execution.account,
            execution.instrument,
            signed=execution.signed_quantity,
            price=execution.price,
            commission=execution.commission,
            time=execution.time,
            volume=execution.quantity,
        )

    def _pay(
        self,
        account: str,
        instrument: Instrument,
        *,
        signed: Decimal,
        price: Decimal,
        commission: Decimal,
        time: datetime,
        volume: Decimal,
    ) -> None:
        spent = signed * price * units_per_contract(instrument) + commission
        self.cash[account] = self.cash.get(account, STARTING_CASH) - spent
        day = trading_date(time)
        known = self._flows.get((account, instrument.key))
        if known is None or known.day <= day:
            flow = self.day_flow(account, instrument, day=day)
            flow.quantity += signed
            flow.spent += spent
            self._flows[account, instrument.key] = flow
        self._month_volume(account, instrument, time=time).quantity += volume

    def _book(
        self, account: str, instrument: Instrument, *, signed: Decimal, price: Decimal, commission: Decimal
    ) -> Decimal | None:
        position = self.position(account, instrument)
        self.touched_positions[account, instrument.key] = position
        return book_deal(position, signed=signed, price=price, commission=commission)


def book_deal(position: Position, *, signed: Decimal, price: Decimal, commission: Decimal) -> Decimal | None:
    """Enter a deal of `signed` units (negative: sold) into a position; return what it realised, None when it opens."""
    price *= units_per_contract(position.instrument)
    held = position.quantity
    position.quantity = held + signed
    closing = min(abs(held), abs(signed)) if held * signed < 0 else Decimal(0)
    opening = abs(signed) - closing
    if opening:
        carried = abs(held) if not closing else Decimal(0)
        direction = 1 if signed > 0 else -1
        cost = carried * position.average_cost + opening * price + direction * commission * opening / abs(signed)
    if closing:
        direction = 1 if held > 0 else -1
        gained = direction * (price - position.average_cost) * closing - commission * closing / abs(signed)
        position.realized_pnl += gained
    if opening:
        position.average_cost = cost / abs(position.quantity)
    elif not position.quantity:
        position.average_cost = Decimal(0)
    return gained.quantize(Decimal("0.000001")) if closing else None
