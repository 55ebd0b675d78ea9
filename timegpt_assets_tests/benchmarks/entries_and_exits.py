"""How often each reason not to enter and each exit is met on real bars, as a markdown table.

Run: TIMEGPT_ASSETS_REAL_DATA=/path/to/data python -m timegpt_assets_tests.benchmarks.entries_and_exits
The forecasts are those of one who has seen the bars, with noise: the table is about the rules, not about a forecaster.
"""

from timegpt_assets.core.backtest import event_loop, signals
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets_tests.core.backtest.clairvoyant import SETS, SPEC, Met, met
from timegpt_assets_tests.core.bars.bars_factory import REAL_DATA

KINDS = {
    "no signal": tuple(trading.NO_SIGNAL),
    "signals": (*signals.TURNED_AWAY, *event_loop.NOT_ENTERED, SPEC.rules.rule_set),
    "exits": tuple(event_loop.EXITS),
}


def table(seen: dict[str, Met]) -> str:
    """Return the counts of each set beside each other, a row for each reason."""
    rows = [["", "reason", *seen], ["---"] * (2 + len(seen))]
    for kind, names in KINDS.items():
        for name in dict.fromkeys(names):
            rows.append([kind, f"`{name}`", *(f"{one.counts[kind][name]:,}" for one in seen.values())])
    rows.append(["", "forecasts", *(f"{one.said.height:,}" for one in seen.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table({real.name: met(real) for real in SETS}) if REAL_DATA else "TIMEGPT_ASSETS_REAL_DATA is not set")
