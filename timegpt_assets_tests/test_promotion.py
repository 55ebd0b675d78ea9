"""Who may promote: the asset itself, in each profile, over scores that pass everything, and over forged verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, Partitions
from timegpt_assets.adapters.storage.promotion_record import NAME, PromotionRecord
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets import contract, gates, luck, promotion
from timegpt_assets.assets.declare import Span
from timegpt_assets.assets.trading_scores import asked_of_books
from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.settings import PROFILES
from timegpt_assets.core import calendar
from timegpt_assets.core.lineage import Lineage
from timegpt_assets.core.tables.backtest import BOOK
from timegpt_assets.core.tables.evaluation import COST_SENSITIVITY, OOS_SUMMARY, TRADING_SCORES
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.instance.failures import Failed
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets_tests.core.gates import made, made_books
from timegpt_assets_tests.roads import load_runtime, road
from timegpt_assets_tests.secret_search import KEY

MONTH, AS_OF, START = "2025-02", date(2025, 2, 28), date(2024, 6, 28)
DAYS = [s.day for s in calendar.sessions(date(2024, 7, 1), AS_OF)]
SETTINGS = (
    "data.start_date=2024-05-01",
    "data.end_date=2025-02-28",
    f"gates.oos_start={START}",
)
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
Asked = tuple[GraphContext, TrialStore, dict[str, Any]]


def scores(graph: GraphContext) -> dict[str, pl.DataFrame]:
    """Return the tables of the month, of a forecaster who passes everything, in prod."""
    champion = graph.settings.forecast.champion
    names = {"book": champion, "sharpe_daily": 3.0}
    return {
        "forecast_diagnostics": made.diagnostics(*graph.settings.universe.tickers).with_columns(
            forecaster=pl.lit(champion)
        ),
        "comparison": pl.concat(
            [
                made.compared(champion, against=[n for n in ("zero", "climatology") if n != champion]),
                made.beside_zero(graph.settings.universe.tickers, champion),
            ]
        ),
        "interval_widths": made.widths(graph.settings.universe.tickers).with_columns(forecaster=pl.lit(champion)),
        "backtest_runs": made.runs().with_columns(book=pl.lit(champion)),
        "trading_scores": made.figures(TRADING_SCORES, **names),
        "cost_sensitivity": made.figures(COST_SENSITIVITY, **names),
        "oos_summary": made.figures(OOS_SUMMARY, **names),
    }


def read(graph: GraphContext) -> dict[str, Partitions]:
    """Return the days behind them: the champion asked on each, and a good one."""
    champion = graph.settings.forecast.champion
    net = np.random.default_rng(1).normal(200, 900, len(DAYS)).tolist()
    facts: dict[str, Mapping[str, Any]] = {str(day): {"complete": True} for day in DAYS}
    book = made_books.portfolio(dict(zip(DAYS, net, strict=True)), book=champion)
    asked = made_books.asked_on(DAYS, book=champion).rename({"book": "forecaster"})
    asked = asked.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in ("symbol", "snapshot_ts"))
    answers: dict[str, Mapping[str, Any]] = {str(day): {"lineage_id": "now"} for day in DAYS}
    return {
        "portfolio": Partitions(book, facts),
        "day_scores": Partitions(asked, facts),
        "answers": Partitions(pl.DataFrame(), answers),
    }


@dataclass(frozen=True)
class Records:
    """What answers were made under: under ``now`` what holds, under ``then`` another model."""

    holds: Mapping[str, str]

    def records(self) -> Mapping[str, Any]:
        fields = dict.fromkeys(("asset", "profile", "code_version", "config_digest", "data_version"), "")
        now = Lineage(**fields, **self.holds, parents={})  # type: ignore[arg-type]
        return {"now": now, "then": replace(now, model_version="then")}


def lineage(graph: GraphContext) -> Any:
    return Records(strategy_inputs.contract(graph.settings).holds)


def verdicts(graph: GraphContext, tables: dict[str, Any], trials: TrialStore) -> dict[str, pl.DataFrame]:
    """Return the gates of the month as their own assets make them."""
    span = Span(month=MONTH, as_of=AS_OF, sessions=tuple(DAYS))
    asked = asked_of_books(graph, tables["day_scores"], tables["portfolio"])
    return {
        "forecast_gate": gates.of_forecasts(graph)(span, tables),
        "trading_gate": gates.of_trading(graph)(span, tables),
        "hard_metrics": gates.of_risk(graph)(span, tables),
        "contract": contract.of_contract(graph)(
            span, tables["day_scores"].frame, contract.made_under(tables["answers"], lineage(graph))
        ),
        "luck_gate": luck.of_luck(graph)(span, tables["portfolio"].frame, asked, trials.ever(AS_OF)),
    }


def made_in(folder: Path, profile: str, *overrides: str) -> Asked:
    settings = load_runtime(
        folder, *SETTINGS, *overrides, profile=profile, environment={"TIMEGPT_API_KEY": KEY}
    ).settings
    graph, trials = graph_context(settings), TrialStore(LocalStore(folder))
    tables: dict[str, Any] = scores(graph) | read(graph)
    return graph, trials, tables | verdicts(graph, tables, trials)


def promoted(asked: Asked, **changes: Any) -> pl.DataFrame:
    graph, trials, tables = asked
    context = dg.build_asset_context(partition_key=f"{MONTH}-01")
    given = tables | {"trials": trials, "lineage_book": lineage(graph)} | changes
    with pytest.MonkeyPatch.context() as patched:
        # Dagster's context of an asset that is called by hand takes no metadata
        patched.setattr(promotion, "note_verdicts", lambda graph, context, frame: frame)
        made: pl.DataFrame = promotion.promotion(graph)(context, **given)
    return made


@pytest.mark.parametrize("profile", PROFILES)
def test_only_prod_promotes_who_passes_everything(tmp_path: Path, profile: str) -> None:
    frame = promoted(made_in(tmp_path, profile))
    assert frame["passed"].to_list() == [profile == "prod"] * 5, frame["reason"].to_list()
    assert (f"profile {profile} promotes nothing; evaluate in prod" in frame["reason"][0]) == (profile != "prod")


@pytest.mark.parametrize("gate", VERDICTS)
@pytest.mark.parametrize(
    "forged", ["passed", *(pytest.param(one, marks=pytest.mark.whole) for one in ("gone", "more"))]
)
def test_verdicts_that_somebody_wrote_into_a_table_promote_nobody(tmp_path: Path, gate: str, forged: str) -> None:
    """H5: rows that say passed where the scores do not, rows taken out, rows of symbols nobody scored."""
    graph, trials, tables = asked = made_in(tmp_path, "prod", "gates.luck.trials_in_oos_lte=5")
    assert promoted(asked)["passed"].all()
    bad = {
        "forecast_diagnostics": tables["forecast_diagnostics"].with_columns(rmae=0.99),
        "trading_scores": tables["trading_scores"].with_columns(hit_rate=0.1, max_drawdown=0.9),
        "answers": Partitions(pl.DataFrame(), {**tables["answers"].facts, str(DAYS[-3]): {"lineage_id": "then"}}),
    }
    trials.record(DAYS[0], DAYS[-1], {"timegpt": [f"c{i}" for i in range(300)]})
    failing = tables | bad
    truth = verdicts(graph, failing, trials)
    assert not truth[gate]["passed"].all()
    rows = truth[gate]
    lie = {
        "passed": rows.with_columns(passed=True, reason=pl.lit("holds")),
        "gone": rows.filter("passed"),
        "more": pl.concat([rows, rows.with_columns(symbol=pl.lit("EVIL"), passed=True)]),
    }[forged]
    frame = promoted((graph, trials, failing | truth | {gate: lie}))
    assert not frame["passed"].any()
    assert "EVIL" not in set(frame["symbol"])
    assert f"stored rows of {gate} are not what the scores and trials give now" in frame["reason"][0]
    honest = promoted((graph, trials, failing | truth))
    assert not honest["passed"].any()
    assert "not passed: " in honest["reason"][0]


def test_trials_recorded_since_the_verdict_are_counted(tmp_path: Path) -> None:
    graph, trials, tables = asked = made_in(tmp_path, "prod")
    assert promoted(asked)["passed"].all()
    trials.record(date(2024, 5, 1), START, {"timegpt": [f"c{i}" for i in range(1000)]}, kind="search")
    late = promoted(asked)
    assert not late["passed"].any()
    assert "stored rows of luck_gate are not what the scores and trials give now" in late["reason"][0]
    assert "evaluate --force" in late["reason"][0]
    again = promoted((graph, trials, tables | verdicts(graph, tables, trials)))
    assert "not passed: promotion.deflated_sharpe, promotion.pbo" in again["reason"][0]


def test_a_portfolio_marks_what_was_live_before_its_session_and_a_replay_marks_the_same(tmp_path: Path) -> None:
    days = [date(2025, 1, 16), date(2025, 1, 17)]
    with road(tmp_path, pictures=False) as built:
        store, record = ParquetStore(built.runtime.storage), PromotionRecord(built.runtime.storage)
        both = pl.concat(made_books.portfolio(dict.fromkeys(days, 5.0), book=who) for who in ("ridge", "zero"))
        for day in days:
            rows = both.filter(day=day).select(*BOOK.columns).with_columns(lineage_id=pl.lit("made"))
            store.write("backtest/book", day, rows, facts={"*": {"complete": True}})
        said = {"forecaster": "ridge", "symbols": ["AAA"], "who": "ada", "why": "", "evidence": {}}
        record.add("promote", **said, clock=lambda: calendar.session(days[1]).open - timedelta(hours=1))

        def made_now() -> dict[str, bytes]:
            job, key = (
                built.engine.repository.get_implicit_global_asset_job_def(),
                dg.AssetKey(["backtest", "portfolio"]),
            )
            for day in days:
                job.execute_in_process(asset_selection=[key], partition_key=str(day), instance=built.engine.instance)
            return {name: data for name, data in built.bytes().items() if name.startswith("backtest/portfolio")}

        first = made_now()
        found = store.read("backtest/portfolio", days).sort("day", "forecaster")
        assert found.select("day", "forecaster", "whitelisted").rows() == [
            (days[0], "ridge", False), (days[0], "zero", False), (days[1], "ridge", True), (days[1], "zero", False),
        ]  # fmt: skip
        assert found["admitted"].all(), "what is not live is admitted all the same"
        record.add("demote", **said, clock=lambda: calendar.session(days[1]).open)
        assert made_now() == first
        file = Path(built.runtime.storage.shown(NAME))
        file.write_bytes(file.read_bytes().replace(b"ada", b"eve"))
        with pytest.raises(Failed, match=r"record.jsonl was changed by hand or is damaged: line 1 .* Restore it"):
            made_now()
