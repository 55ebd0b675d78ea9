"""vectorbt on the arrays that peers.py wrote: ``python _peer_vectorbt.py FILE``, of an environment of its own.

Prints one JSON line: CPU seconds of one backtest, of one summed by day, and of one among several at once.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import vectorbt as vbt

SIDE_BY_SIDE = 5
"""Combinations simulated as columns of one call: more share its overhead, and take memory."""


def portfolio(data: Any, s_stop: float, s_take: float, times: int = 1) -> Any:
    """Return the backtest of every symbol with these levels, ``times`` over with levels a little apart.

    It asks for stops from the bar after the one it enters in, and takes a close for the price its levels are around: so
    it is told to enter and to leave at the close of the bar before, which is the price the arrays mean (peers.py).
    """
    apart = np.repeat(1 + 0.1 * np.arange(times), data["close"].shape[1])

    def wide(name: str) -> np.ndarray:
        return np.tile(data[name], (1, times))

    def before(name: str) -> np.ndarray:
        return np.roll(wide(name), -1, axis=0)

    side, sigma, left = before("side"), before("sigma") * apart, before("left")
    return vbt.Portfolio.from_signals(
        wide("close"), side > 0, left, side < 0, left, size=before("shares"), size_type="amount",
        open=wide("open"), high=wide("high"), low=wide("low"),
        sl_stop=np.abs(np.expm1(-s_stop * side * sigma)), tp_stop=np.abs(np.expm1(s_take * side * sigma)),
        fees=float(data["fees"]), init_cash=1e12, freq="1min",
    )  # fmt: skip


def cpu(work: Callable[[], object], repeat: int = 3) -> float:
    """Return the least CPU seconds of several runs."""
    found = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def summed(data: Any, times: int = 1) -> np.ndarray:
    """Return trades, hits, costs and net P&L of every day: what a sweep tells of a combination."""
    trades = portfolio(data, 1.0, 1.0, times).trades.records
    net, fees = trades["pnl"].to_numpy(), (trades["entry_fees"] + trades["exit_fees"]).to_numpy()
    day = data["day"][trades["entry_idx"].to_numpy()] + len(data["day"]) * (
        trades["col"].to_numpy() // len(data["side"].T)
    )
    return np.stack([np.bincount(day, weights) for weights in (None, net > 0, fees, net)])


def main() -> None:
    """Compile, then measure."""
    data = dict(np.load(sys.argv[1]))
    trades, hits, fees, net = summed(data).sum(axis=1)
    found = {
        "version": vbt.__version__,
        "trades": int(trades),
        "hits": int(hits),
        "cost": float(fees),
        "net_pnl": float(net),
        "backtest_s": cpu(lambda: portfolio(data, 1.0, 1.0)),
        "summed_s": cpu(lambda: summed(data)),
        "side_by_side_s": cpu(lambda: summed(data, SIDE_BY_SIDE)) / SIDE_BY_SIDE,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
