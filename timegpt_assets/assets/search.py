"""Research: the search for rules: two stages look for them before gates.oos_start, a third judges them after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import polars as pl

from timegpt_assets.adapters import source_code
from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.search.studies import Studies, study_name
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, Partitions
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets import previews
from timegpt_assets.assets.backtest import LIQUIDITY, TRADING
from timegpt_assets.assets.declare import SESSIONS_A_MONTH, SURENESS, Span, declared, judged_months, stored_in
from timegpt_assets.assets.research import under
from timegpt_assets.assets.trading_scores import ACCOUNT
from timegpt_assets.config import search_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.research import confirmation, search_windows
from timegpt_assets.core.research.search import Choice, Material, Space, material
from timegpt_assets.core.research.search_windows import COARSE, CONFIRM, REFINE
from timegpt_assets.core.research.trading_grid import Combination
from timegpt_assets.core.research.trials import COMPLETE, Plan, Trial
from timegpt_assets.core.tables.research import SEARCH_CANDIDATES, SEARCH_TRIALS
from timegpt_assets.partitions import GraphContext, month_window

READ = (
    *("search.outer", "search.inner", "trading_grid.grids.{outer}", "trading_grid.grids.{inner}", "search.forecaster"),
    *("forecast.backend", "forecast.history_days", "forecast.horizon_min", "universe.tickers", "gates.oos_start"),
    *TRADING,
)
"""Settings that say what is searched, and on whose forecasts."""
TRIED = (
    *("search.study", "search.value", "search.penalties", "search.sampler", "search.pruner", "search.batch"),
    *("search.stages.refine.sessions", "search.stages.refine.until"),
    *("search.stages.coarse.sessions", "search.stages.coarse.until"),
)
"""Settings that decide which trials there are; each stage has more of its own."""
BY_SYMBOL = ("calibration/forecasts", "bars/bars", "gates/symbol_gates")
LIMITS = ("trading.risk", *ACCOUNT, *SURENESS, "search.penalties")
CODE = Path(source_code.__file__).resolve().parents[1]


def search_stage_1(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the coarse search: few symbols, few sessions, many trials."""

    @declared(
        SEARCH_TRIALS,
        name="search_stage_1",
        group="research",
        partitions=graph.grid.month,
        settings=(*READ, *TRIED, "search.stages.coarse"),
        ins={"book": _stored(graph)},
    )
    def search_stage_1(
        context: dg.AssetExecutionContext,
        book: Partitions,
        stored_tables: dg.ResourceParam[ParquetStore],
        daily_files: dg.ResourceParam[DailyFiles],
        trials: dg.ResourceParam[TrialStore],
        studies: dg.ResourceParam[Studies],
    ) -> pl.DataFrame:
        """A few symbols on a short window: every inner combination under the choices that Optuna makes."""
        house, stage = House(graph.settings, stored_tables, daily_files), graph.settings.search.stages.coarse

        def searched(span: Span) -> pl.DataFrame:
            swept = house.material(house.days(span, COARSE), search_inputs.symbols(graph.settings, COARSE))
            return _trials(house, span, COARSE, swept, house.plan(stage.trials), studies, trials)

        return _drawn(context, judged_months(context, SEARCH_TRIALS, book, searched), house.forecaster)

    return search_stage_1


def search_stage_2(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the refining search: every symbol, the first stage's best before others."""
    terms, count = search_inputs.terms(graph.settings), graph.settings.search.finalists

    @declared(
        SEARCH_TRIALS,
        name="search_stage_2",
        group="research",
        partitions=graph.grid.month,
        settings=(*READ, *TRIED, "search.stages.refine", "search.finalists", *LIMITS),
        ins={"book": _stored(graph), "search_stage_1": stored_in("research", name="search_stage_1")},
    )
    def search_stage_2(
        context: dg.AssetExecutionContext,
        book: Partitions,
        search_stage_1: pl.DataFrame,
        stored_tables: dg.ResourceParam[ParquetStore],
        daily_files: dg.ResourceParam[DailyFiles],
        trials: dg.ResourceParam[TrialStore],
        studies: dg.ResourceParam[Studies],
    ) -> pl.DataFrame:
        """Every symbol on a longer window, then the best within the portfolio's limits."""
        house, stage = House(graph.settings, stored_tables, daily_files), graph.settings.search.stages.refine

        def searched(span: Span) -> pl.DataFrame:
            carried = _carried(span.of(search_stage_1), stage.carried)
            swept = house.material(house.days(span, REFINE), search_inputs.symbols(graph.settings, REFINE))
            plan = replace(house.plan(stage.trials), first=carried)
            found = _trials(house, span, REFINE, swept, plan, studies, trials)
            return _with_limits(found, swept, house.space, terms, count)

        return _drawn(context, judged_months(context, SEARCH_TRIALS, book, searched), house.forecaster)

    return search_stage_2


def search_stage_3(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the confirmation: the finalists on sessions that no search has seen."""
    terms, least = search_inputs.terms(graph.settings), graph.settings.gates.min_observation_days
    sessions = graph.settings.search.stages.confirm.sessions

    @declared(
        SEARCH_CANDIDATES,
        name="search_stage_3",
        group="research",
        partitions=graph.grid.month,
        settings=(*READ, "search.stages.confirm.sessions", "gates.min_observation_days", *LIMITS),
        ins={"book": _stored(graph), "search_stage_2": stored_in("research", name="search_stage_2")},
    )
    def search_stage_3(
        context: dg.AssetExecutionContext,
        book: Partitions,
        search_stage_2: pl.DataFrame,
        stored_tables: dg.ResourceParam[ParquetStore],
        daily_files: dg.ResourceParam[DailyFiles],
        trials: dg.ResourceParam[TrialStore],
    ) -> pl.DataFrame:
        """The finalists after gates.oos_start, rows asked in prod alone: only these may be promoted."""
        house = House(graph.settings, stored_tables, daily_files)

        def confirmed(span: Span) -> pl.DataFrame:
            chosen = span.of(search_stage_2).filter(pl.col("finalist").is_not_null()).sort("finalist")
            swept = house.material(house.days_after(span, sessions), search_inputs.symbols(graph.settings, CONFIRM))
            live = confirmation.asked_live(swept, LIVE)
            if live.days:
                trials.record(live.days[0], live.days[-1], {house.forecaster: chosen["combination"]}, kind="search")
            return _candidates(chosen, live, house, span, terms, least)

        return judged_months(context, SEARCH_CANDIDATES, book, confirmed)

    return search_stage_3


@dataclass(frozen=True)
class House:
    """What every stage of a search reads: stored forecasts, what they stand on, and the sessions of each stage."""

    settings: Settings
    stored: ParquetStore
    files: DailyFiles

    @property
    def space(self) -> Space:
        """Return what is searched."""
        return search_inputs.space(self.settings)

    @property
    def forecaster(self) -> str:
        """Return whose forecasts are traded."""
        return search_inputs.forecaster(self.settings)

    def days(self, span: Span, stage: str) -> tuple[date, ...]:
        """Return the sessions of a stage that are stored; none in a month that ends before the last of refine."""
        first, second = search_windows.spans(
            *search_inputs.windows(self.settings), oos_start=search_inputs.oos_start(self.settings)
        )
        if max(first.last, second.last) > span.as_of:
            return ()
        return self._stored(first if stage == COARSE else second)

    def days_after(self, span: Span, sessions: int) -> tuple[date, ...]:
        """Return the newest sessions after gates.oos_start that are stored."""
        later = search_windows.after(search_inputs.oos_start(self.settings), sessions, as_of=span.as_of)
        return self._stored(later) if later else ()

    def _stored(self, own: search_windows.Span) -> tuple[date, ...]:
        # asked of the store: a month far behind gates.oos_start does not look back as far as coarse does
        found = self.stored.read_facts("backtest/book", own.days, missing="ok")
        return tuple(sorted(date.fromisoformat(day) for day, _ in found))

    def plan(self, trials: int) -> Plan:
        """Return how a study of so many trials is gone about."""
        return search_inputs.plan(self.settings, trials)

    def material(self, days: Sequence[date], symbols: Sequence[str]) -> Material:
        """Return what is stored of these sessions and symbols, of the searched forecaster alone."""
        space, filters = self.space, self.space.outer.filters
        if not days:
            return Material.nothing(events=self.files.calendar)
        back = filters.lookback_sessions if filters else 0
        past = [one.day for one in calendar.sessions(calendar.shifted(days[0], -back), days[-1])]
        read = ("day", "symbol", "known_at", *(LIQUIDITY if filters else ()), *space.whole.columns())
        forecasts, bars, gates = (self.stored.read(asset, days, symbols) for asset in BY_SYMBOL)
        panel = self.stored.read("features/panel", past, missing="ok", columns=read)
        return material(
            space,
            under(space.outer, forecasts.filter(forecaster=self.forecaster)),
            bars,
            gates,
            panel.filter(pl.col("symbol").is_in(list(symbols))),
            days=days,
            events=self.files.calendar,
        )


def _stored(graph: GraphContext) -> dg.AssetIn:
    """Return the input that says which days are stored: a book stands on all that a trial is swept on."""
    months = -(-search_inputs.lookback(graph.settings) // SESSIONS_A_MONTH)
    return stored_in("backtest", month_window(months), name="book", missing="ok", columns=("day",))


def _trials(
    house: House, span: Span, stage: str, swept: Material, plan: Plan, studies: Studies, tried: TrialStore
) -> pl.DataFrame:
    """Return SEARCH_TRIALS of one stage; no rows without a stored session."""
    if not swept.days:
        return SEARCH_TRIALS.empty()
    symbols, who = search_inputs.symbols(house.settings, stage), house.forecaster
    about = {"forecaster": who, "symbols": symbols, "code": source_code.digest(CODE)}
    name = study_name(house.settings.search.study, stage, house.space, swept, plan, about=about)
    first, last = swept.days[0], swept.days[-1]
    found = studies.run(
        name,
        house.space,
        swept,
        plan,
        capital=house.settings.trading.capital * len(symbols),
        record=lambda names: tried.record(first, last, {who: names}, kind="search"),
    )
    same = {"month": span.month, "as_of": span.as_of, "study": name, "stage": stage, "forecaster": who}
    same |= confirmation.sources(swept) | {"first_day": first, "last_day": last, "observation_days": len(swept.days)}
    rows = [same | _row(trial) | dict.fromkeys(("finalist", "limited_value")) for trial in found]
    return SEARCH_TRIALS.conformed(pl.DataFrame(rows, schema=SEARCH_TRIALS.schema))


def _row(trial: Trial) -> dict[str, Any]:
    # a trial asks no limits: what they would have refused is not known, and not none
    return trial.as_json() | {"outer": orjson.dumps(dict(trial.outer)).decode(), "reject_rate": None}


def _carried(trials: pl.DataFrame, count: int) -> tuple[Choice, ...]:
    """Return the best choices of SEARCH_TRIALS, best first, each once."""
    return tuple(orjson.loads(outer) for outer in _best(trials).head(count)["outer"])


def _best(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the complete ones of SEARCH_TRIALS, each choice once, best first."""
    complete = trials.filter(pl.col("duplicate_of").is_null(), state=COMPLETE)
    return complete.sort("value", "number", descending=[True, False])


def _with_limits(
    trials: pl.DataFrame, swept: Material, space: Space, terms: confirmation.Terms, count: int
) -> pl.DataFrame:
    """Return SEARCH_TRIALS with the finalists marked, best within the portfolio's limits first."""
    chosen = _best(trials).unique("combination", keep="first", maintain_order=True).head(count)
    judged = [(row["number"], confirmation.within_limits(_combination(space, row), swept, terms))
              for row in chosen.iter_rows(named=True)]  # fmt: skip
    judged.sort(key=lambda one: (-one[1]["value"], one[0]))
    found = pl.DataFrame(
        [(number, place, own["value"], own["reject_rate"]) for place, (number, own) in enumerate(judged, 1)],
        {name: trials.schema[name] for name in ("number", *MARKS)},
        orient="row",
    )
    return SEARCH_TRIALS.conformed(trials.drop(MARKS).join(found, on="number", how="left"))


MARKS = ("finalist", "limited_value", "reject_rate")


def _candidates(
    chosen: pl.DataFrame, live: Material, house: House, span: Span, terms: confirmation.Terms, least: int
) -> pl.DataFrame:
    """Return SEARCH_CANDIDATES of the finalists ``chosen``."""
    first, last = (live.days[0], live.days[-1]) if live.days else (None, None)
    same = {"month": span.month, "as_of": span.as_of, "forecaster": house.forecaster, **LIVE}
    same |= {"oos_start": search_inputs.oos_start(house.settings), "first_day": first, "last_day": last}
    rows: list[dict[str, Any]] = [
        same
        | {name: row[name] for name in ("combination", "rules")}
        | {"chosen_value": row["limited_value"], "observation_days": len(live.days), "rank": None}
        | confirmation.within_limits(_combination(house.space, row), live, terms)
        for row in chosen.iter_rows(named=True)
    ]
    rows = [row | {"verdict": confirmation.verdict(row["value"], live.days, least)} for row in rows]
    passed = sorted((row for row in rows if row["verdict"] == confirmation.CANDIDATE), key=lambda row: -row["value"])
    for place, row in enumerate(passed, 1):
        row["rank"] = place
    return SEARCH_CANDIDATES.conformed(pl.DataFrame(rows, schema=SEARCH_CANDIDATES.schema))


def _combination(space: Space, row: Mapping[str, Any]) -> Combination:
    tried = space.tried(orjson.loads(row["outer"])).combinations
    return next(one for one in tried if one.name == row["combination"])


def _drawn(context: dg.AssetExecutionContext, trials: pl.DataFrame, forecaster: str) -> pl.DataFrame:
    """Return the trials, and put their pictures beside the newest month."""
    previews.of_months(context, trials, SEARCH_TRIALS.name, champion=forecaster)
    return trials
