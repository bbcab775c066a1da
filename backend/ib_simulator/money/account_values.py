"""The values of an account under IB's keys, computed from cash, positions and the prices of now.

NetLiquidation is always the cash plus the value of all positions. Values set over the control port win, also over
figures they would change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.money.margin import MarginRules
from ib_simulator.money.profit import market_value

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

BASE_CURRENCY = "USD"
# What `$LEDGER` gives for the sum of all currencies.
ALL_CURRENCIES = "BASE"
# [CAMPUS] account values: "Standard Margin Account: ... Initial Margin *4".
BUYING_POWER_FACTOR = 4
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class AccountValue:
    key: str
    value: str
    currency: str = BASE_CURRENCY


def margin_rules(gateway: "Gateway") -> MarginRules:
    return MarginRules(ledger=gateway.ledger, market=gateway.market, instruments=gateway.instruments)


def account_values(gateway: "Gateway", account: str) -> list[AccountValue]:
    """Return the account's values without those by currency (`ledger_values`)."""
    figures = _figures(gateway, account)
    leverage = figures["GrossPositionValue"] / figures["NetLiquidation"] if figures["NetLiquidation"] else Decimal(0)
    cushion = figures["ExcessLiquidity"] / figures["NetLiquidation"] if figures["NetLiquidation"] else Decimal(0)
    values = {
        "AccountCode": AccountValue("AccountCode", account, ""),
        "AccountReady": AccountValue("AccountReady", "true", ""),
        "AccountType": AccountValue("AccountType", "INDIVIDUAL", ""),
        "Currency": AccountValue("Currency", BASE_CURRENCY),
        "Cushion": AccountValue("Cushion", format(cushion, ".6f"), ""),
        "DayTradesRemaining": AccountValue("DayTradesRemaining", "-1", ""),
        "Leverage-S": AccountValue("Leverage-S", format(leverage, ".2f"), ""),
        "LookAheadNextChange": AccountValue("LookAheadNextChange", "0", ""),
    }
    for key, amount in figures.items():
        values[key] = AccountValue(key, _money(amount))
    for (owner, key), text in gateway.ledger.values.items():
        if owner == account:
            currency = values[key].currency if key in values else BASE_CURRENCY
            values[key] = AccountValue(key, text, currency)
    return list(values.values())


def ledger_values(gateway: "Gateway", account: str, *, currencies: tuple[str, ...]) -> list[AccountValue]:
    """Return the values by currency in the order a Gateway sends them [CAPTURE account_updates_multi].

    There is one real currency here, so those of all currencies (`BASE`) are the same.
    """
    figures = _figures(gateway, account)
    texts = _ledger_texts(figures, account)
    values: list[AccountValue] = []
    for currency in currencies:
        values += [
            AccountValue(key, currency if key in {"Currency", "RealCurrency"} else text, currency)
            for key, text in texts.items()
        ]
    return values


def _ledger_texts(figures: Mapping[str, Decimal], account: str) -> dict[str, str]:
    zero = _money(Decimal(0))
    cash = _money(figures["CashBalance"])
    return {
        "Currency": "",
        "CashBalance": cash,
        "TotalCashBalance": cash,
        "AccruedCash": zero,
        "StockMarketValue": _money(figures["StockMarketValue"]),
        "OptionMarketValue": _money(figures["OptionMarketValue"]),
        "FutureOptionValue": zero,
        "FuturesPNL": zero,
        "NetLiquidationByCurrency": _money(figures["NetLiquidation"]),
        "UnrealizedPnL": _money(figures["UnrealizedPnL"]),
        "RealizedPnL": _money(figures["RealizedPnL"]),
        "ExchangeRate": "1.00",
        "FundValue": zero,
        "NetDividend": zero,
        "MutualFundValue": zero,
        "MoneyMarketFundValue": zero,
        "CorporateBondValue": zero,
        "TBondValue": zero,
        "TBillValue": zero,
        "WarrantValue": zero,
        "FxCashBalance": zero,
        "AccountOrGroup": account,
        "RealCurrency": "",
    }


def _figures(gateway: "Gateway", account: str) -> dict[str, Decimal]:
    cash = gateway.ledger.cash[account]
    held = gateway.ledger.positions(account)
    worth = [market_value(position, price=gateway.market.quote(position.instrument).last) for position in held]
    by_type = {"STK": Decimal(0), "OPT": Decimal(0)}
    for position, value in zip(held, worth, strict=True):
        kind = position.instrument.sec_type
        by_type[kind] = by_type.get(kind, Decimal(0)) + value
    paid = sum((position.quantity * position.average_cost for position in held), Decimal(0))
    net = cash + sum(worth, Decimal(0))
    rules = margin_rules(gateway)
    margin = rules.account_requirement(account, is_reg_t=gateway.scenario.is_on("margin", "reg_t"))
    equity = rules.equity_with_loan(account)
    free, excess = equity - margin.initial, equity - margin.maintenance
    return {
        "NetLiquidation": net,
        "EquityWithLoanValue": equity,
        "PreviousDayEquityWithLoanValue": equity,
        "TotalCashValue": cash,
        "TotalCashBalance": cash,
        "SettledCash": cash,
        "CashBalance": cash,
        "AccruedCash": Decimal(0),
        "GrossPositionValue": sum((abs(value) for value in worth), Decimal(0)),
        "StockMarketValue": by_type["STK"],
        "OptionMarketValue": by_type["OPT"],
        "InitMarginReq": margin.initial,
        "MaintMarginReq": margin.maintenance,
        "FullInitMarginReq": margin.initial,
        "FullMaintMarginReq": margin.maintenance,
        "LookAheadInitMarginReq": margin.initial,
        "LookAheadMaintMarginReq": margin.maintenance,
        "AvailableFunds": free,
        "FullAvailableFunds": free,
        "LookAheadAvailableFunds": free,
        "ExcessLiquidity": excess,
        "FullExcessLiquidity": excess,
        "LookAheadExcessLiquidity": excess,
        "BuyingPower": max(Decimal(0), free * BUYING_POWER_FACTOR),
        "UnrealizedPnL": sum(worth, Decimal(0)) - paid,
        "RealizedPnL": gateway.ledger.realized_pnl(account),
    }


def _money(amount: Decimal) -> str:
    return format(amount.quantize(_CENT), "f")
