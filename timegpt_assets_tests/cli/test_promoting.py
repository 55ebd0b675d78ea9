"""promote and demote at the real command line, in prod, over days that pass everything and days that do not."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.promotion_record import NAME, PromotionRecord
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.cli import app as cli
from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.whitelist import whitelist
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.lineage import Lineage
from timegpt_assets.core.tables.columns import QUANTILES
from timegpt_assets.core.tables.evaluation import DAY_SCORES
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets_tests.core.gates import made, made_books
from timegpt_assets_tests.secret_search import KEY

pytestmark = [
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]
MONTH, AS_OF, START = "2025-02", date(2025, 2, 28), date(2024, 11, 15)
DAYS = [s.day for s in calendar.sessions(date(2024, 11, 18), AS_OF)]
PROFILE = f"""\
data: {{source: local, root: bars, start_date: 2024-11-01, end_date: {AS_OF}}}
universe: {{tickers: [AAA], context: [SPY]}}
features: {{warmup_sessions: 1}}
calibration: {{evaluation: {{bootstrap_draws: 100}}}}
forecast: {{backend: nixtla, api_mode: online, history_days: 4}}
gates: {{oos_start: {START}, min_forecasts: 300}}
"""
CARD = """\
economic_rationale: {grade: strong, why: scaled by volatility}
market_realism: {grade: strong, why: costs and embargo}
parsimony: {grade: moderate, why: few variables}
overfit_risk: {grade: strong, why: gates}
score: 8.6
"""


@dataclass(frozen=True)
class House:
    """A prod house whose days were made elsewhere."""

    folder: Path

    @property
    def objects(self) -> LocalStore:
        return LocalStore(self.folder / "data" / "prod")

    @property
    def record(self) -> PromotionRecord:
        return PromotionRecord(self.objects)

    def put(self, asset: str, frame: pl.DataFrame, **facts: str) -> None:
        store = ParquetStore(self.objects)
        for day, rows in frame.partition_by("day", as_dict=True).items():
            store.write(asset, day[0], rows, facts={"*": {"complete": True, **facts}})


def scored(skill: float) -> pl.DataFrame:
    """Return the scores of timegpt in prod and of the references beside it, as day_scores hold them."""
    own = made.scores(DAYS, skill=skill, symbol="AAA", sources=LIVE)
    others = made.of_references(own).with_columns(
        score_source=pl.lit("baseline"), run_source=pl.lit("prod"), data_regime=pl.lit("maintenance_replay")
    )
    rows = pl.concat([own, others]).with_columns(
        lineage_id=pl.lit("made"),
        sigma=0.001 + pl.int_range(pl.len()) % 97 * 1e-5,
        request_hash=pl.lit(None, pl.String),
    )
    bands = {f"{kind}{q}": place * pl.col("sigma") for kind in ("", "raw_") for place, q in enumerate(QUANTILES, -3)}
    # what no verdict reads is there all the same
    return (
        rows.with_columns(**bands)
        .select(*DAY_SCORES.columns, "lineage_id")
        .with_columns(cs.float().fill_null(0.001), covered_50=pl.int_range(pl.len()).over("forecaster") % 2 == 0)
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    (house.folder / "configs" / "profiles").mkdir(parents=True)
    (house.folder / "configs" / "profiles" / "prod.yaml").write_text(PROFILE)
    (house.folder / "card.yaml").write_text(CARD)
    house.put("evaluation/day_scores", scored(0.5))
    net = np.random.default_rng(1).normal(400, 900, len(DAYS)).tolist()
    earned = dict(zip(DAYS, net, strict=True))
    book = pl.concat(made_books.portfolio(earned, book=name) for name in ("timegpt", "live"))
    book = book.with_columns(forecaster=pl.lit("timegpt"), lineage_id=pl.lit("made"))
    house.put("backtest/portfolio", book)
    settings = load_settings(profile="prod", config_dir=house.folder / "configs", environment={"TIMEGPT_API_KEY": KEY})
    fields = dict.fromkeys(("asset", "profile", "code_version", "config_digest", "data_version"), "")
    record = Lineage(**fields, **strategy_inputs.contract(settings).holds, parents={})  # type: ignore[arg-type]
    made_under = LineageStore(house.objects).record(record)
    house.put("forecasts/answers", book.select("day", "lineage_id"), lineage_id=made_under)
    return house


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def command(house: House, *words: str, profile: str = "prod", at: datetime | None = None) -> Result:
        for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET"):
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(house.folder / "configs"))
        monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", profile)
        monkeypatch.setenv("TIMEGPT_API_KEY", KEY)
        monkeypatch.chdir(house.folder)
        if at:
            made = runtime.load_runtime
            monkeypatch.setattr(runtime, "load_runtime", lambda *a, **k: replace(made(*a, **k), clock=lambda: at))
        return CliRunner().invoke(cli.app, list(words))

    return command


def told(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_what_passes_everything_is_recorded_with_what_it_rests_on_and_live_from_the_next_open(base, run) -> None:
    found = told(run(base, "promote", "--scorecard", "card.yaml", "--json"))
    assert found["not_passed"] == []
    assert (found["month"], found["promoted"], found["live"], found["refused"]) == (MONTH, ["AAA"], ["AAA"], {})
    (entry,) = base.record.entries()
    assert (entry["what"], entry["forecaster"], entry["symbols"]) == ("promote", "timegpt", ["AAA"])
    evidence = entry["evidence"]
    assert (evidence["month"], evidence["as_of"], evidence["trials"], evidence["sources"]) == (
        MONTH,
        "2025-02-28",
        0,
        LIVE,
    )
    assert evidence["asked"]["luck"]["dsr_gte"] == 0.95
    assert evidence["scorecard"]["score"] == 8.6
    at = datetime.fromisoformat(entry["time"])
    before = [s.day for s in calendar.sessions(calendar.shifted(AS_OF, 1), calendar.LAST_DAY) if s.open <= at][-1]
    assert whitelist(base.record.recorded(), day=before) == set()
    assert whitelist(base.record.recorded(), day=calendar.shifted(before, 1)) == {("timegpt", "AAA")}
    page = Path(found["page"]).read_text()
    for words in (
        "promotion of 2025-02",
        "deflated_sharpe",
        "scaled by volatility",
        "every criterion of 2025-02 holds",
    ):
        assert words in page


@pytest.mark.whole
def test_forged_verdicts_and_scores_are_made_again_and_promote_nobody(base, run) -> None:
    """H5: every month table may be forged; what is judged is made of the days."""
    before = len(base.record.entries())
    store = ParquetStore(base.objects)
    trials = TrialStore(base.objects)
    trials.record(DAYS[0], DAYS[-1], {"timegpt": [f"c{i}" for i in range(300)]})
    for gate in (*VERDICTS, "promotion"):
        rows = store.read(f"gates/{gate}", [MONTH]).with_columns(passed=True, reason=pl.lit("holds"))
        store.write(f"gates/{gate}", MONTH, rows, facts={"*": {}})
    shown = run(base, "promote", "--month", MONTH)
    assert shown.exit_code == 3, shown.output
    for criterion in ("deflated_sharpe", "min_track_record", "pbo", "trials_in_oos"):
        assert f" {criterion} " in shown.stdout
    assert " sharpe_daily " not in shown.stdout
    for words in ("promoted nobody", "live and not passed: AAA", "300 tried (sweep 300); scorecard: none"):
        assert words in shown.stdout
    assert len(base.record.entries()) == before
    page = base.folder / "artifacts" / "reports" / "prod" / "promotion-2025-02.html"
    assert "No scorecard was given." in page.read_text()


@pytest.mark.parametrize(("words", "said"), [
    (("demote", "--reason", "x"), "name the symbols, or say --all, and not both. Live for timegpt: AAA."),
    (("demote", "AAA", "--all", "--reason", "x"), "name the symbols, or say --all, and not both"),
    (("demote", "MSFT", "--reason", "x"), "MSFT is not live for timegpt. Live for timegpt: AAA."),
    (("demote", "AAA", "--reason", " "), "--reason is empty. Say why, for the record."),
    (("demote", "--all", "--forecaster", "ridge", "--reason", "x"), "nothing to demote. Live for ridge: none."),
    (("promote", "--month", "2025-13"), "--month 2025-13 is no month. Write it as 2025-12."),
    (("promote", "--month", "2023-05"), "no session of 2023-05 has a portfolio"),
    (("promote", "--scorecard", "nowhere.yaml"), "nowhere.yaml"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(base, run, words, said) -> None:
    before = base.record.entries()
    result = run(base, *words)
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.stderr.split())
    assert base.record.entries() == before


@pytest.mark.parametrize("verb", [("promote",), ("demote", "--all", "--reason", "x")])
@pytest.mark.parametrize("profile", ["demo", "dev", "offline"])
def test_only_prod_says_what_is_live(base, run, verb, profile) -> None:
    backend = "nixtla" if profile == "offline" else "baseline"
    (base.folder / "configs" / "profiles" / f"{profile}.yaml").write_text(f"forecast: {{backend: {backend}}}")
    result = run(base, *verb, profile=profile)
    assert result.exit_code == 1, result.output
    assert f"profile {profile} promotes nothing and has nothing to demote. Say --profile prod." in result.stderr


def test_a_clock_that_went_back_and_a_record_edited_by_hand_are_refused_with_the_remedy(base, run, monkeypatch) -> None:
    back = run(base, "demote", "AAA", "--reason", "x", at=datetime(2025, 3, 3, tzinfo=UTC))
    assert back.exit_code == 1, back.output
    assert "by this machine's clock" in back.stderr
    file = Path(base.objects.shown(NAME))
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"AAA"', b'"EVIL"', 1))
    monkeypatch.undo()
    for words in (("promote",), ("demote", "--all", "--reason", "x")):
        result = run(base, *words)
        assert result.exit_code == 1, result.output
        assert "record.jsonl was changed by hand or is damaged: line 1 is not what was written there" in result.stderr
        assert "Traceback" not in result.stderr
    file.write_bytes(whole)
    entry = told(run(base, "demote", "--all", "--reason", "the quarter is over", "--json"))
    assert (entry["what"], entry["symbols"], entry["why"]) == ("demote", ["AAA"], "the quarter is over")
    assert run(base, "demote", "AAA", "--reason", "again").exit_code == 1


@pytest.mark.whole
def test_forecasts_that_pass_no_more_are_refused_by_every_criterion(base, run) -> None:
    base.put("evaluation/day_scores", scored(-0.5))
    refused = told(run(base, "promote", "--json"), 3)
    names = {(row["gate"], row["criterion"]) for row in refused["not_passed"]}
    assert {("forecast_gate", "rmae"), ("promotion", "median_rmae"), ("promotion", "rmae_zero")} <= names
    assert set(refused["refused"]) == {"*", "AAA"}
