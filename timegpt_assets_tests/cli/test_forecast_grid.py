"""A forecast grid as a person works through it: planned, paid for over two budget days, made again from the cache.

The provider is the local server; what it received is what was sent. One story, told once (``story``); each test reads
a part of it.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets import previews
from timegpt_assets.cli import app as cli
from timegpt_assets.cli.exit_codes import FAILED, MISUNDERSTOOD, WAITS
from timegpt_assets.core.tables.forecast_grid import BOARD, FORECAST_PLAN
from timegpt_assets_tests.engine.test_call_budget import FORECAST, PARAMS, modest
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = [
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.timeout(1800),
]

SPAN = ("--start", "2025-01-30", "--end", "2025-01-31")
SHORT = "target_modes: [log_return_5m, log_return_15m]\ncalibration_methods: [widen]\n"
"""Two questions; the first is of a label that does not span the horizon of 15 minutes."""
LONG = "target_modes: [log_return_5m, log_return_15m, volatility_z]\ncalibration_methods: [none, widen]\n"
"""Three questions, each read twice."""
ASKED = 4
"""Snapshots of a question: two on each of two days."""


@dataclass(kw_only=True)
class Story:
    """What was said and done: results by name, requests by path after each step, files after each step."""

    folder: Path
    server: TimeGPTServer
    text: str
    questions: int
    reads: int
    results: dict[str, Result] = field(default_factory=dict)
    sent: dict[str, Counter[str]] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def run(self, name: str, *words: str, profile: str = "dev", text: str | None = None) -> Result:
        """Sweep the story's grid, or that of this text, and note what came of it."""
        file = self.folder / "mine.yaml"
        file.write_text(self.text if text is None else text)
        house = ("--profile", profile, *(w for o in (*TINY, *modest(self.server.url)) for w in ("--set", o)))
        result = CliRunner().invoke(cli.app, ["sweep", "--forecast-grid", str(file), *SPAN, *words, *house])
        self.results[name], self.sent[name] = result, Counter(self.server.counts)
        kept = (path for path in (self.folder / "artifacts").rglob("*") if path.is_file())
        self.files[name] = {str(path.relative_to(self.folder)): path.read_bytes() for path in kept}
        return result

    def found(self, name: str) -> dict[str, Any]:
        """Return the figures that a step printed."""
        return json.loads(self.results[name].stdout)

    def table(self, name: str, file: str) -> pl.DataFrame:
        """Return a csv file as it was after a step."""
        return pl.read_csv(self.files[name][f"artifacts/eval/grid/{file}"])


@pytest.fixture(scope="module", params=[(SHORT, 2, 1), pytest.param((LONG, 3, 2), marks=pytest.mark.whole)])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield a story in which nothing has happened yet."""
    folder = tmp_path_factory.mktemp("grid")
    (folder / "configs").mkdir()
    with pytest.MonkeyPatch.context() as patched, TimeGPTServer(input_size=60) as server:
        for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET", "NIXTLA_API_KEY"):
            patched.setenv(name, "")
            patched.delenv(name)
        patched.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(folder / "configs"))
        patched.setenv("TIMEGPT_API_KEY", KEY)
        for name in ("fans", "trades_of_days", "verdict_map", "day_charts"):
            patched.setattr(previews, name, lambda *_, **__: {})
        patched.setattr(previews, "of_months", lambda *_, **__: None)
        text, questions, reads = request.param
        yield Story(folder=folder, server=server, text=text, questions=questions, reads=reads)


@pytest.fixture(scope="module")
def story(empty: Story) -> Story:
    """Tell the story and return it."""
    price = ("--set", "forecast.api_budget.price_per_call=0.5")
    empty.run("plan", "--json", *price)
    empty.run("plan for people", *price)
    run = ("--execute", "--run-id", "grid", "--json")
    empty.run("first day", *run, "--set", f"forecast.api_budget.per_day={ASKED + 1}")
    empty.run("second day", *run)
    empty.run("again", *run)
    return empty


def test_the_plan_tells_calls_and_money_and_what_is_not_paid_twice_before_anything_is_sent(story: Story) -> None:
    found, questions, reads = story.found("plan"), story.questions, story.reads
    assert story.results["plan"].exit_code == 0, story.results["plan"].output
    told = [found[name] for name in ("combinations", "duplicates", "not_tradeable", "days")]
    assert told == [questions * reads, 0, reads, 2]
    shared = questions * (reads - 1) * ASKED
    told = [found[name] for name in ("requests", "requests_cached", "requests_shared")]
    assert told == [questions * reads * ASKED, 0, shared]
    assert found["calls_needed"] == questions * ASKED + 1, "one for the model's parameters"
    assert found["money"] == 0.5 * found["calls_needed"]
    assert not story.sent["plan for people"]
    said = " ".join(story.results["plan for people"].stdout.split())
    assert f"2 sessions, 2025-01-30 to 2025-01-31. {reads} can be scored and not traded" in said
    assert f"{shared} asked by an earlier combination and not paid twice, {questions * ASKED + 1} calls to pay" in said
    plan = story.table("plan", "forecast_grid/plan.csv")
    assert plan.columns[: len(FORECAST_PLAN)] == list(FORECAST_PLAN)
    assert plan["calls"].to_list()[::reads] == [ASKED + 1, *[ASKED] * (questions - 1)]
    assert plan["tradeable"].to_list() == [True] * (questions - 1) * reads + [False] * reads, "first what can win"
    assert plan["combination"].n_unique() == plan["seed"].n_unique() == questions * reads
    if reads > 1:
        assert plan["shares_with"].to_list()[1::2] == plan["combination"].to_list()[0::2]
    assert "artifacts/eval/grid/scoreboard.csv" not in story.files["plan"]


def test_when_the_day_is_spent_what_is_paid_for_is_made_and_the_rest_waits(story: Story) -> None:
    result, found = story.results["first day"], story.found("first day")
    assert result.exit_code == WAITS, result.output
    assert story.sent["first day"] == {FORECAST: ASKED, PARAMS: 1}
    assert (found["made"], found["waiting"]) == (story.reads, (story.questions - 1) * story.reads)
    assert "calls needed for the next session, 0 left of this budget day" in " ".join(found["why"])
    assert "Run the same command again on the next budget day" in result.stderr
    plan = story.table("first day", "forecast_grid/plan.csv")
    assert plan["state"].to_list() == ["made"] * found["made"] + ["waiting"] * found["waiting"]
    assert set(story.table("first day", "scoreboard.csv")["combination"]) == set(plan["combination"][: story.reads])


def test_the_next_day_goes_on_and_requests_are_those_of_the_plan(story: Story) -> None:
    assert story.results["second day"].exit_code == 0, story.results["second day"].output
    assert sum(story.sent["second day"].values()) == story.found("plan")["calls_needed"]
    assert max(story.server.digests.values()) == 1
    assert story.found("second day")["made"] == story.questions * story.reads
    assert story.sent["again"] == story.sent["second day"]
    again, before = (
        {file: data for file, data in story.files[name].items() if "figures" in file or "scoreboard" in file}
        for name in ("again", "second day")
    )
    assert again == before
    assert len(again) >= story.questions * story.reads + 4


def test_distinct_combinations_have_distinct_results_and_the_scoreboard_is_what_its_figures_say(story: Story) -> None:
    board = story.table("second day", "scoreboard.csv")
    assert board.columns == list(BOARD)
    assert board["combination"].n_unique() == board.height == story.questions * story.reads
    assert board["status"].to_list()[-story.reads :] == ["not_tradeable"] * story.reads
    # two sessions teach a calibration nothing: whoever reads the same question has the same figures, and is marked
    first = story.table("second day", "forecast_grid/plan.csv")["combination"].to_list()[:: story.reads]
    named = dict(board.select("combination", "duplicate_payload").iter_rows())
    assert {name for name, same in named.items() if same is None} == set(first)
    assert set(named.values()) - {None} == (set(first) if story.reads > 1 else set())
    scored = board.filter(pl.col("rank").is_not_null())
    assert scored.height >= 1
    worked_out = scored["sharpe_daily"] * (1 - (scored["pit_coverage"] - 0.5).abs())
    assert scored["composite"].to_list() == pytest.approx(worked_out.to_list())
    assert scored["rank"].to_list() == list(range(1, scored.height + 1))
    assert set(board["score_source"]) == {"simulated"}
    assert story.files["second day"]["artifacts/eval/grid/scoreboard.png"].startswith(b"\x89PNG")


def test_a_run_of_a_grid_has_its_files_once_nothing_waits_and_the_same_again_leaves_them(story: Story) -> None:
    def folder(name: str) -> dict[str, bytes]:
        begins = "artifacts/runs/grid/"
        return {file.removeprefix(begins): data for file, data in story.files[name].items() if file.startswith(begins)}

    begun = folder("first day")
    assert "logs/forecast.log" in begun
    assert {name.partition("/")[0] for name in begun} == {"logs"}, "a board of half a grid would not stay as it is"
    made = folder("second day")
    assert {*made} == {
        *("eval/grid/forecast_grid/plan.csv", "eval/grid/scoreboard.csv", "eval/grid/scoreboard.png"),
        *("logs/backtest.log", "logs/forecast.log", "meta.json"),
    }
    assert made["eval/grid/scoreboard.csv"] == story.files["second day"]["artifacts/eval/grid/scoreboard.csv"]
    step = json.loads(made["meta.json"])["steps"]["sweep"]
    assert step["files"]["eval/grid/scoreboard.csv"]["rows"] == story.questions * story.reads
    assert story.results["again"].exit_code == 0, story.results["again"].output
    assert folder("again") == made
    assert made["logs/forecast.log"].count(b"Using forecast backend=NixtlaTimeGPTBackend") >= 1


def test_what_is_tried_is_noted_where_verdicts_look_and_the_house_stays_apart(story: Story) -> None:
    root = story.folder / "data" / "dev"
    assert sorted(path.name for path in root.iterdir()) == ["forecast_grid", "trials"]
    tried = TrialStore(LocalStore(root)).tried()
    assert set(tried["kind"]) == {"forecast_grid"}
    assert set(tried["combination"]) == set(story.table("second day", "forecast_grid/plan.csv")["combination"])
    assert set(tried["forecaster"]) == {"timegpt"}
    assert sorted(path.name for path in (story.folder / ".dagster" / "dev").iterdir() if path.is_dir()) == [
        "forecast_grid"
    ]


@pytest.mark.whole
def test_offline_makes_what_is_paid_for_from_the_cache_with_no_request_and_the_same_figures(story: Story) -> None:
    more = story.text.replace("log_return_15m", "log_return_15m, bp")
    before = Counter(story.server.counts)
    offline = ("--execute", "--json", "--set", "forecast.api_mode=offline")
    result = story.run("offline", *offline, profile="offline", text=more)
    assert result.exit_code == FAILED, result.output
    told = f"{story.reads} combinations have snapshots that were never paid for, and offline asks nobody; "
    assert told + f"{story.questions * story.reads} were made" in " ".join(result.stderr.split())
    assert story.server.counts == before
    figures = [name for name in BOARD if name not in ("combination", "duplicate_payload", "rank", "seed")]
    boards = [story.table(name, "scoreboard.csv").sort("words").select(figures) for name in ("offline", "second day")]
    assert boards[0].equals(boards[1])


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("snapshot_presets: [nope]\n", (), r"forecast.snapshot_preset is said by --set"),
        ("target_modes: [bp]\nmodels: []\n", (), "models = .* at least one value"),
        ("horizons: [400]\n", ("--execute", "--plan-only"), "--plan-only sends nothing and --execute does"),
        ("models: [a]\n", ("--baseline-run", "data/dev"), "--baseline-run names what --reuse-baseline stands on"),
        (
            "models: [a]\n",
            ("--run-id", "mine"),
            "--run-id keeps what was made, and a plan makes nothing. Say --execute",
        ),
        ("models: [a]\n", ("--across", "k_sigma"), "--across say something of a trading grid. Leave them out"),
        (
            "quantile_sets: [[0.123, 0.5]]\n",
            (),
            r"quantile_sets \[0.123, 0.5\]: .* 0.123 means level 75.4; write 0.125",
        ),
        ("ablations: [[sector]]\n", ("--set", "features.groups=[price]"), "features.groups is said by --set"),
        ("", (), "a dimension with its values"),
        (
            "models: [a]\n",
            ("--execute", "--reuse-baseline"),
            "has no bars/bars of 2025-01-2.* Make them first: timegpt-assets build-features --start 2025-01-2",
        ),
    ],
)
def test_a_grid_that_cannot_be_is_misunderstood_with_the_remedy(
    empty: Story, text: str, words: tuple[str, ...], said: str
) -> None:
    result = empty.run("refused", *words, text=text)
    assert result.exit_code == MISUNDERSTOOD, result.output
    plain = " ".join(line.strip("│ ") for line in result.stderr.splitlines())
    assert re.search(said, " ".join(plain.split())), result.stderr
