"""The ladder walked forward: rungs learnt block by block from what lies before, and everybody's answers side by side.

Belongs here: rows of a house or of a made-up market, the walk, and pairs of rungs. Everything that learns, answers or
judges is production code; what is found is read by benchmarks and tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.config import core_inputs, strategy_inputs
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core import calendar, targets
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.calendar import Session
from timegpt_assets.core.evaluation import ladder
from timegpt_assets.core.features import matrix
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.forecasts import framing, snapshots
from timegpt_assets.core.models import control, folds, net, rows, stated, teaching
from timegpt_assets.core.models.blend import ALPHAS, mixed
from timegpt_assets.core.models.folds import Fold
from timegpt_assets.core.models.judged import Comparison, compared, losses
from timegpt_assets.core.models.learnt import Learnt
from timegpt_assets.core.models.net_spec import NetSpec
from timegpt_assets.core.models.rows import KEY, OUTCOME, RowSpec
from timegpt_assets.core.models.tree import Form, fitted, learn_tree
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.bars import RAW_BARS
from timegpt_assets.core.tables.columns import BLEND, NET, TREE
from timegpt_assets.runtime import MarketData, local_forecasters

TREES: Mapping[str, Form] = {"lightgbm": "apart", "lightgbm_quantile": "quantile", "lightgbm_conformal": "conformal"}
"""Who is tried -> form of the tree: that of the road apart, and both of the road together."""
WARM_UP = 20
"""Sessions before the first row: volumes are looked back on."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """How the walk goes: the fewest sessions learnt from, and how many one model answers."""

    least: int = 12
    block: int = 5


WEEKLY = Walk()


def settings(*overrides: str) -> Settings:
    """Return the settings of profile demo with the dense preset, as shipped."""
    said = ("forecast.snapshot_preset=dense", *overrides)
    return load_settings(profile="demo", config_dir=None, overrides=said, environment={})


def specs(under: Settings) -> tuple[RowSpec, TreeSpec]:
    """Return how rows are made and how trees learn."""
    events = core_inputs.event_calendar(under)
    return core_inputs.row_spec(under, events), core_inputs.tree_spec(under, events)


def of_house(folder: Path, under: Settings) -> pl.DataFrame:
    """Return TRAINING_SET of every session whose panel and labels lie in a house, whose storage root is given."""
    places = {name: folder / "features" / name for name in ("panel", "labels")}
    days = sorted(path.name for path in places["labels"].glob("*.parquet") if (places["panel"] / path.name).exists())
    spec = specs(under)[0]
    return pl.concat(
        rows.training_rows(pl.read_parquet(places["panel"] / day), pl.read_parquet(places["labels"] / day), spec)
        for day in days
    ).sort(KEY)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A market made ready: PANEL and LABELS of the days, and of those before them that are looked back on."""

    under: Settings
    symbols: tuple[str, ...]
    days: tuple[date, ...]
    panel: pl.DataFrame
    labels: pl.DataFrame

    def rows(self) -> pl.DataFrame:
        """Return TRAINING_SET of the days."""
        own = pl.col("day").is_in(list(self.days))
        return rows.training_rows(self.panel.filter(own), self.labels.filter(own), specs(self.under)[0]).sort(KEY)

    def seated(self, days: Sequence[date]) -> dict[str, pl.DataFrame]:
        """Return forecaster -> what the seats answered at the preset's snapshots of some of the days.

        As on the road of a snapshot: from every minute of the sessions before, in units of sigma.
        """
        shape = replace(core_inputs.snapshot_spec(self.under, core_inputs.event_calendar(self.under)), skip_events=())
        asked = snapshots.snapshots(list(days), shape)
        shown = replace(core_inputs.frame_spec(self.under), symbols=self.symbols)
        seats = local_forecasters(self.under)
        said = pl.concat(seats.answers(framing.frames(self.panel, asked, shown, day=day)).rows for day in days)
        return in_sigma(said)


def in_sigma(answers: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return forecaster -> its ANSWERS in units of sigma, those whole."""
    ends = ("mean", *(name for name in answers.columns if name.startswith(("lo_", "hi_"))))
    scaled = answers.select(
        "forecaster", *KEY, *((pl.col(end) * pl.col("target_scale") / pl.col("sigma")).alias(end) for end in ends)
    ).drop_nulls()
    return {
        str(word): own.drop("forecaster") for (word,), own in scaled.partition_by("forecaster", as_dict=True).items()
    }


def made(market: MarketData, symbols: Sequence[str], days: Sequence[date], under: Settings) -> Made:
    """Return the market's panel and labels of the days, with what they look back on before them."""
    every = [*(calendar.shifted(days[0], -n) for n in range(WARM_UP, 0, -1)), *days]
    context, policy = under.universe.context, core_inputs.quality_policy(under)
    sessions = calendar.sessions_frame(pl.Series(every))
    keys = pl.DataFrame({"day": every}).join(pl.DataFrame({"symbol": [*symbols, *context]}), how="cross")
    raw = market.bars([*symbols, *context], every)
    quality = session_grid.quality(raw, keys=keys, sessions=sessions, policy=policy)
    grid = session_grid.grid(raw, quality, sessions=sessions, policy=policy)
    own, target = grid.filter(pl.col("symbol").is_in(list(symbols))), core_inputs.target(under)
    spec = core_inputs.feature_spec(under, core_inputs.event_calendar(under))
    features = matrix.features(own, market_context(grid, days=every, context=context), days=every, spec=spec).frame
    labels = targets.labels(own, features, horizons=[target.horizon_min], target=target)
    panel = matrix.panel(features, own, days=every)
    return Made(under=under, symbols=tuple(symbols), days=tuple(days), panel=panel, labels=labels)


@dataclass(frozen=True, kw_only=True)
class StillMarket:
    """A market in which nothing can be known: each minute's return a draw of its own, of one size, day in, day out."""

    seed: int
    size: float = 5e-4
    """Standard deviation of a minute's return."""

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        """Return RAW_BARS of those symbols and days."""
        parts = [self._session(symbol, session) for session in _sessions(days) for symbol in sorted(symbols)]
        return RAW_BARS.conformed(pl.concat(parts))

    def _session(self, symbol: str, session: Session) -> pl.DataFrame:
        # a symbol's own draws, whoever else is asked for
        key = [self.seed, session.day.toordinal(), *symbol.encode()]
        rng, n = np.random.default_rng(key), session.minutes
        moves = self.size * rng.standard_normal(n)
        closes = np.exp(np.log(100.0) + np.cumsum(moves))
        opens = np.concatenate([[100.0], closes[:-1]])
        reach = np.exp(0.5 * self.size * np.abs(rng.standard_normal((2, n))))
        return pl.DataFrame(
            {
                "day": [session.day] * n,
                "symbol": [symbol] * n,
                "ts": pl.datetime_range(session.open, session.close, "1m", closed="left", eager=True, time_unit="us"),
                "row": np.arange(n),
                "open": opens,
                "high": np.maximum(opens, closes) * reach[0],
                "low": np.minimum(opens, closes) / reach[1],
                "close": closes,
                "volume": np.rint(20_000 * np.exp(0.3 * rng.standard_normal(n))),
            }
        )


def _sessions(days: Sequence[date]) -> list[Session]:
    return [session for session in calendar.sessions(min(days), max(days)) if session.day in set(days)]


def market(seed: int, symbols: Sequence[str], *, linear: float = 0.0, interaction: float = 0.0) -> SyntheticMarket:
    """Return the made-up market with what is planted in it."""
    return SyntheticMarket(
        symbols=tuple(symbols), seed=seed, missing_rate=0.0, predictability=linear, interaction=interaction
    )


def walked(
    known: pl.DataFrame,
    spec: TreeSpec,
    who: Sequence[str] = ("lightgbm",),
    walk: Walk = WEEKLY,
    *,
    taught: NetSpec | None = None,
) -> dict[str, pl.DataFrame]:
    """Return forecaster -> its answers to every block of sessions, learnt from what lies before the block's embargo.

    ``known``: TRAINING_SET. ``who``: of TREES. The control arm and zero answer, too, and with ``taught`` the net and
    the blend of it with the tree, whose share is chosen on the blocks before.
    """
    parts: dict[str, list[pl.DataFrame]] = {}
    for fold in blocks(known, spec.embargo_days, walk):
        train, test = fold.train, fold.test
        asked = test.drop(OUTCOME)
        said = {seat.word: control.answers(train, test, seat, spec.levels) for seat in spec.control.seats}
        said |= {word: fitted(train, spec, TREES[word])[0].predicted(asked, spec.levels) for word in who}
        if taught is not None:
            said[NET] = net.fitted(train, teaching.teacher(train, spec), taught)[0].predicted(asked, spec.levels)
            said[BLEND] = mixed(said[TREE], said[NET], best_share(known, parts, spec.levels))
        for word, own in said.items():
            parts.setdefault(word, []).append(own)
    return {word: pl.concat(own) for word, own in parts.items()}


def reading(ready: Made, shown: int) -> pl.DataFrame:
    """Return MODEL_REPORT of a tree that learns from the first ``shown`` sessions and answers all later ones.

    As a month is read, but that forward everybody's answers, the seats' among them, count as they were given: no
    calibration has learnt from them.
    """
    known, spec = ready.rows(), specs(ready.under)[1]
    learnt = learn_tree(known.filter(pl.col("day").is_in(ready.days[:shown])), spec)
    assert learnt.model is not None, learnt.reason
    later = known.filter(pl.col("day").is_in(ready.days[shown:]))
    said = ready.seated(ready.days[shown:]) | {TREE: learnt.model.predicted(later.drop(OUTCOME), spec.levels)}
    scored = pl.concat(_scored(later, word, own, spec.levels) for word, own in said.items())
    return reported(ready.under, learnt, scored, ready.days[-1])


def reported(under: Settings, learnt: Learnt, scored: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return MODEL_REPORT of a tree; ``scored``: what it reads of DAY_SCORES, of sessions up to ``as_of``."""
    terms = strategy_inputs.ladder_terms(under)
    taught = stated.Taught(found=learnt, losses=learnt.losses, own={})
    month = f"{as_of:%Y-%m}"
    return ladder.model_report(
        stated.row(month, TREE, taught, name="tree", digest=None, control_settings=terms.control_settings),
        scored,
        PORTFOLIO.empty(),
        month=month,
        as_of=as_of,
        lookback_sessions=under.gates.lookback_sessions,
        terms=terms,
    )


def _scored(rows: pl.DataFrame, word: str, said: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
    """Return what the ladder reads of DAY_SCORES: losses of answers in units of sigma, as log returns again."""
    lost = losses(rows, said, levels).join(rows.select(*KEY, "target_ts", "sigma"), on=list(KEY))
    sources = {"score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay"}
    own = (pl.col("pinball") * pl.col("sigma"), pl.col("abs_error") * pl.col("sigma"))
    return lost.with_columns(
        *own,
        *(each.name.prefix("raw_") for each in own),
        forecaster=pl.lit(word),
        calibration=pl.lit("as_answered"),
        **{name: pl.lit(source) for name, source in sources.items()},
    )


def best_share(known: pl.DataFrame, before: Mapping[str, Sequence[pl.DataFrame]], levels: Sequence[int]) -> float:
    """Return the share of the net that lost least on the blocks before, half where there are none."""
    if not before:
        return 0.5
    tree, student = (pl.concat(before[word]) for word in (TREE, NET))
    lost = {share: losses(known, mixed(tree, student, share), levels)["pinball"].sum() for share in ALPHAS}
    return min(lost, key=lambda share: (lost[share], share))


def blocks(known: pl.DataFrame, embargo_days: int, walk: Walk) -> tuple[Fold, ...]:
    """Return what may be learnt from and the rows of the next block of sessions, in order."""
    return folds.successive(known, first=walk.least + embargo_days, step=walk.block, embargo_days=embargo_days)


def pair(
    known: pl.DataFrame, said: Mapping[str, pl.DataFrame], own: str, other: str, levels: Sequence[int]
) -> Comparison:
    """Return how one did against another on the rows of ``known`` that both answered."""
    return compared(losses(known, said[own], levels), losses(known, said[other], levels))
