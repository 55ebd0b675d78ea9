"""nautilus_trader on the arrays that peers.py wrote: ``python _peer_nautilus.py FILE``, of an environment of its own.

Prints one JSON line: CPU seconds of one backtest of the first sessions, engine and bars made before.
"""

import json
import math
import sys
import time
from decimal import Decimal
from typing import Any

import nautilus_trader
import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

ROWS = 20 * 390
"""Minutes of every symbol that are replayed: a whole year would take a minute and more."""
MINUTE = 60_000_000_000


class Brackets(Strategy):
    """Enters with a bracket where the arrays say so, and leaves at the forecast's time."""

    def __init__(self, config: StrategyConfig, data: Any, names: dict[str, int]) -> None:
        """Keep the arrays; ``names``: bar type -> column."""
        super().__init__(config)
        self.data, self.names, self.row = data, names, {}

    def on_start(self) -> None:
        """Ask for every symbol's bars."""
        for name in self.names:
            self.subscribe_bars(BarType.from_str(name))

    def on_bar(self, bar: Bar) -> None:
        """Leave, or enter, at what the next bar opens with."""
        data, column, row = self.data, self.names[str(bar.bar_type)], self.row.get(bar.bar_type, 0) + 1
        self.row[bar.bar_type] = row
        if row >= ROWS:
            return
        instrument = bar.bar_type.instrument_id
        if data["left"][row, column] and not self.portfolio.is_flat(instrument):
            self.cancel_all_orders(instrument)
            self.close_all_positions(instrument)
        side = int(data["side"][row, column])
        if side and self.portfolio.is_flat(instrument):
            opened, away = float(data["open"][row, column]), side * float(data["sigma"][row, column])
            self.submit_order_list(
                self.order_factory.bracket(
                    instrument_id=instrument,
                    order_side=OrderSide.BUY if side > 0 else OrderSide.SELL,
                    quantity=Quantity.from_int(int(data["shares"][row, column])),
                    sl_trigger_price=Price(opened * math.exp(-away), 2),
                    tp_price=Price(opened * math.exp(away), 2),
                )
            )


def main() -> None:
    """Make the engine and its bars, then measure what it takes to replay them."""
    data = {name: values[:ROWS] if values.ndim else values for name, values in np.load(sys.argv[1]).items()}
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(Venue("XNAS"), OmsType.NETTING, AccountType.MARGIN, [Money(1e10, USD)], USD, Decimal(10))
    names, rows = {}, min(ROWS, data["close"].shape[0])
    for column in range(data["close"].shape[1]):
        instrument = TestInstrumentProvider.equity(f"S{column}", "XNAS")
        engine.add_instrument(instrument)
        names[f"{instrument.id}-1-MINUTE-LAST-EXTERNAL"] = column
        kind = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
        prices = np.stack([data[name][:, column] for name in ("open", "high", "low", "close")], axis=1)
        engine.add_data(
            [
                Bar(kind, *(Price(value, 2) for value in of), Quantity.from_int(10_000), at * MINUTE, at * MINUTE)
                for at, of in enumerate(prices.tolist(), start=1)
            ]
        )
    engine.add_strategy(Brackets(StrategyConfig(), data, names))
    began = time.process_time()
    engine.run()
    took = time.process_time() - began
    bars = rows * len(names)
    positions = len(engine.cache.positions()) + len(engine.cache.position_snapshots())
    print(json.dumps({"version": nautilus_trader.__version__, "bars": bars, "backtest_s": took, "trades": positions}))


if __name__ == "__main__":
    main()
