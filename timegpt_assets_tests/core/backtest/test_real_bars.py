"""Every rule and every exit on real bars, traded by one who has seen them, with noise: none stays unused.

What real bars seldom do is planted: a symbol that never prints again, one without volume, and one that has no bars.
"""

import polars as pl
import pytest

from timegpt_assets.core.backtest import event_loop, signals
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets_tests.core.backtest.clairvoyant import SETS, SPEC, RealSet, met
from timegpt_assets_tests.core.bars.bars_factory import needs_real_data

pytestmark = needs_real_data


@pytest.mark.parametrize("real", SETS, ids=lambda real: real.name)
def test_every_reason_and_every_exit_is_met_on_real_bars(real: RealSet) -> None:
    seen = met(real)
    every = {
        "no signal": trading.NO_SIGNAL,
        "signals": {SPEC.rules.rule_set, *signals.TURNED_AWAY, *event_loop.NOT_ENTERED},
        "exits": event_loop.EXITS,
    }
    unmet = [f"{kind}: {name}" for kind, names in every.items() for name in names if not seen.counts[kind][name]]
    assert unmet == []
    signalled = seen.said.height - sum(seen.counts["no signal"][name] for name in trading.NO_SIGNAL)
    assert seen.found.height == signalled
    filled = seen.found.filter(pl.col("quantity") != 0)
    assert filled.select(*PARTS).sum().row(0) > (0.0,) * len(PARTS), "every part of the cost was paid"
