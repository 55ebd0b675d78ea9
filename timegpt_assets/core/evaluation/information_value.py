"""Is the news worth anything: the ladder's tree with the group news and without it, on a month neither was shown.

Belongs here: INFORMATION_VALUE and the verdict it comes to. Losses are in volatilities and compared in daily sums, as
those of the ladder are. Money is what the same rules earn on both arms' answers as they were given: every snapshot of
the learning grid is traded, each symbol on its own, after costs; no calibration, gate, liquidity filter or limit of the
portfolio stands in between, for they hang on everybody's earlier rows and would need a house of its own for each arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import engines
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts.quantiles import bands
from timegpt_assets.core.models.arms import PLACEBOS, WITH, WITHOUT, Arms
from timegpt_assets.core.models.judged import Comparison, compared, losses
from timegpt_assets.core.tables.columns import CONTROL, SOURCES, TREE
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets.core.tables.news import INFORMATION_VALUE

NO_FEATURES = "reads_no_features: the control arm looks at past returns alone, and no group changes what it says"
_KEY = ["day", "symbol", "snapshot_ts"]
SIDES = {WITH: "", WITHOUT: "without_"}
"""Arm -> what its columns begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What both arms' answers are traded on: the month's bars, by which rules, around which events."""

    bars: pl.DataFrame
    spec: TradingSpec
    events: EventCalendar


def information_value(arms: Arms, market: Market, *, month: str, dm_p_lt: float) -> pl.DataFrame:
    """Return INFORMATION_VALUE of the month: the tree's row, and the control arm's, which no group can change."""
    about = {"month": month, "as_of": _as_of(arms, month)} | _taught(arms)
    rows = [
        about | {"forecaster": CONTROL, "reason": arms.reason or NO_FEATURES, "seated": False},
        about | {"forecaster": TREE, "reason": arms.reason} | _tree(arms, market, dm_p_lt),
    ]
    return INFORMATION_VALUE.conformed(pl.DataFrame(rows, schema=INFORMATION_VALUE.schema))


def is_seated(against: Sequence[Comparison], gained: float, *, dm_p_lt: float) -> bool:
    """Return whether the group may be switched on: less was lost than in each other arm, surely, and no less earned.

    Several arms are several looks (Bonferroni): each p lies below its part of ``dm_p_lt``.
    """
    level = dm_p_lt / len(against)
    sure = [
        one.pinball_ratio is not None and one.dm_p is not None and one.pinball_ratio < 1 and one.dm_p < level
        for one in against
    ]
    return all(sure) and gained >= 0


def _as_of(arms: Arms, month: str) -> Any:
    last = arms.asked["day"].max()
    return calendar.month_sessions(month)[-1] if last is None else last


def _taught(arms: Arms) -> dict[str, Any]:
    days = arms.taught
    span = {"first_day": days[0], "last_day": days[-1]} if days else {}
    return span | {"learnt_sessions": len(days), "features": len(arms.known), "n": 0, "sessions": 0}


def _tree(arms: Arms, market: Market, dm_p_lt: float) -> dict[str, Any]:
    if arms.reason:
        return {"seated": False}
    levels = sorted(int(name.removeprefix("lo_")) for name in arms.told[WITH].columns if name.startswith("lo_"))
    lost = {word: losses(arms.asked, told, levels) for word, told in arms.told.items()}
    found, control, *placebos = (compared(lost[WITH], lost[word]) for word in (WITHOUT, CONTROL, *PLACEBOS))
    money = {word: _money(arms, word, market, levels) for word in SIDES}
    gained = money[WITH]["net_pnl"] - money[WITHOUT]["net_pnl"]
    earned = {f"{prefix}{name}": value for word, prefix in SIDES.items() for name, value in money[word].items()}
    return (
        _compared(found)
        | {"control_ratio": control.pinball_ratio, "pnl_difference": gained, "covered": _covered(arms)}
        | earned
        | {f"placebo_{name}": _least_sure(placebos, name) for name in ("pinball_ratio", "dm_p")}
        | {"seated": is_seated([found, *placebos], gained, dm_p_lt=dm_p_lt)}
    )


def _least_sure(placebos: Sequence[Comparison], name: str) -> float | None:
    """Return the largest of a figure over the placebos; None where one of them has none: nobody's answers differ."""
    values = [getattr(one, name) for one in placebos]
    return None if None in values else float(max(values))


def _compared(found: Comparison) -> dict[str, Any]:
    told: Mapping[str, Any] = found.saved()
    names = ("n", "sessions", "pinball", "dm_p")
    ratios = [f"{ratio}{end}" for ratio in ("pinball_ratio", "mae_ratio") for end in ("", "_low", "_high")]
    return {name: told[name] for name in (*names, *ratios)} | {"without_pinball": found.against_pinball}


def _covered(arms: Arms) -> float:
    """Return the share of the rows that know any feature; a flag is known of everybody."""
    told = [pl.col(name).is_not_null() for name in arms.known if arms.asked.schema[name] != pl.Boolean]
    return float(arms.asked.select(pl.any_horizontal(pl.lit(False), *told).mean()).item())


def _money(arms: Arms, word: str, market: Market, levels: list[int]) -> dict[str, Any]:
    """Return trades and net_pnl (USD) of an arm's answers under the rules, both of them judged by nobody before."""
    forecasts = _forecasts(arms.asked, arms.told[word], levels)
    inputs = Inputs(forecasts=forecasts, bars=market.bars, symbol_gates=SYMBOL_GATES.empty(), events=market.events)
    traded = engines.trades(inputs, replace(market.spec, bootstrap="trade"), engines.of_trades(forecasts.height))
    entered = traded.filter(pl.col("quantity") != 0)
    # one after the other: a sum of polars' hangs on the order of its threads
    return {"trades": entered.height, "net_pnl": float(sum(entered["net_pnl"].to_list()))}


def _forecasts(asked: pl.DataFrame, told: pl.DataFrame, levels: list[int]) -> pl.DataFrame:
    """Return what FORECASTS must hold to be traded: quantiles as log returns, aligned, of one source."""
    ends = {name: (f"lo_{level}", f"hi_{level}") for level, name in bands(levels).items()}
    columns = {quantile: own for level, pair in ends.items() for quantile, own in zip(level, pair, strict=True)}
    both = asked.select(*_KEY, "target_ts", "horizon_min", "sigma").join(told, on=_KEY, maintain_order="left")
    return both.select(
        *_KEY,
        "target_ts",
        "horizon_min",
        "sigma",
        *((pl.col(own) * pl.col("sigma")).alias(quantile) for quantile, own in columns.items()),
        q50=pl.col("mean") * pl.col("sigma"),
        label_aligned=pl.lit(True),
        forecaster=pl.lit(TREE),
        **dict.fromkeys(SOURCES, pl.lit("*")),
    )
