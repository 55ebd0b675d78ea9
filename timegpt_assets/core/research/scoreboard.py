"""The scoreboard of a sweep: what each combination's days come to, which is best, and which are no other at all.

Belongs here: figures and ranks. The best of many is biased upwards, the more so the more were tried, and its interval
says nothing of that: how many were ever tried is recorded (adapters/storage/trial_store.py), for a verdict to deflate.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import significance
from timegpt_assets.core.evaluation.trading import SHARPE_METHOD, Account, drawdown_days, max_drawdown
from timegpt_assets.core.research.trading_grid import seed
from timegpt_assets.core.tables.columns import ORIGIN_KEY
from timegpt_assets.core.tables.research import SCORES

PLAIN = 1.0
"""The multiple at which costs are what they are."""
_DAILY = ("trades", "hits", "gross_pnl", "cost", "notional")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What figures are measured against: the account, cost multiples, and how near the best a plateau is."""

    account: Account
    multipliers: Sequence[float]
    plateau_share: float


def scoreboard(grid_days: pl.DataFrame, *, sessions: Collection[date], scoring: Scoring) -> pl.DataFrame:
    """Return SCORES of every combination, origin and cost multiple over ``sessions``, best first.

    ``grid_days`` are rows of GRID_DAYS. An origin is measured over the sessions on which it was asked, and those in
    between on which nobody was, as evaluation/trading.py does; days without a trade count zero. Costs at a multiple are
    those of the same trades, so that one pass gives all of them.
    """
    schema = pl.Schema({name: column.dtype for name, column in SCORES.items()})
    own = grid_days.filter(pl.col("day").is_in(list(sessions)))
    silent = sorted(set(sessions) - set(own["day"]))
    frames = [pl.DataFrame(schema=schema)]
    for key, part in sorted(own.partition_by(ORIGIN_KEY, as_dict=True).items()):
        rows = _scores(part, silent, scoring)
        frames.append(pl.DataFrame([dict(zip(ORIGIN_KEY, key, strict=True)) | row for row in rows], schema=schema))
    return _ranked(pl.concat(frames), scoring.plateau_share)


def _scores(part: pl.DataFrame, silent: Sequence[date], scoring: Scoring) -> list[dict[str, Any]]:
    """Return the rows of one origin; ranks are not yet known."""
    seen, rows = dict[bytes, str](), list[dict[str, Any]]()
    for (name, rules), own in sorted(part.partition_by("combination", "rules", as_dict=True).items()):
        days = own.sort("day")
        first, last = days["day"][0], days["day"][-1]
        quiet = sum(first < day < last for day in silent)
        # what distinguishes it: a combination with every day the same is no other, whatever its values say
        same = seen.setdefault(days.select("day", *_DAILY).hash_rows(seed=0).to_numpy().tobytes(), name)
        about = {"combination": name, "rules": rules, "seed": seed(name), "first_day": first, "last_day": last}
        about |= {"rank": 0, "plateau": False, "duplicate_payload": None if same == name else same}
        rows += [about | _figures(days, quiet, multiple, scoring.account) for multiple in scoring.multipliers]
    return rows


def _figures(days: pl.DataFrame, quiet: int, multiple: float, account: Account) -> dict[str, Any]:
    """Return the figures at one multiple of the costs; ``quiet`` sessions between the days were asked of nobody."""
    net = np.concatenate([(days["gross_pnl"] - multiple * days["cost"]).to_numpy(), np.zeros(quiet)])
    capital = account.capital * len(set(account.symbols))
    returns = net / capital
    sharpe = significance.sharpe(returns, periods=account.annualization_days)
    trades = int(days["trades"].sum())
    return {
        "cost_multiplier": float(multiple),
        "observation_days": net.size,
        "trades": trades,
        "hit_rate": int(days["hits"].sum()) / trades if trades and multiple == PLAIN else None,
        "gross_pnl": math.fsum(days["gross_pnl"]),
        "cost": multiple * math.fsum(days["cost"]),
        "net_pnl": math.fsum(net),
        "turnover": math.fsum(days["notional"]) / capital / net.size,
        "sharpe_daily": sharpe.value,
        "sharpe_daily_low": sharpe.low,
        "sharpe_daily_high": sharpe.high,
        "sharpe_method": SHARPE_METHOD,
        "vol_floor_applied": sharpe.value is None,
        "max_drawdown": max_drawdown(returns),
        "drawdown_days": drawdown_days(returns),
    }


def _ranked(scores: pl.DataFrame, share: float) -> pl.DataFrame:
    """Return the scores best first, with ranks and plateaus; equal ones stand in the order of their names."""
    by = [*ORIGIN_KEY, "cost_multiplier"]
    best = pl.col("sharpe_daily").max().over(by)
    order = scores.sort(
        *by, "sharpe_daily", "combination", descending=[*[False] * len(by), True, False], nulls_last=True
    )
    return order.with_columns(
        rank=pl.int_range(1, pl.len() + 1).over(by).cast(pl.Int64),
        plateau=((best > 0) & (pl.col("sharpe_daily") >= share * best)).fill_null(False),
    )
