"""What a table does in a narrow terminal and in a pipe: every word of every cell is there, whole.

Guards against a layout that cuts, folds a word on a line that has room for it, or breaks a row where grep looks for it.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from timegpt_assets.adapters.news.imports import Told
from timegpt_assets.adapters.news.origin import Origin
from timegpt_assets.cli import (
    bars,
    calls,
    comparing,
    console,
    doctor,
    due,
    events_behind,
    explaining,
    fetching,
    forecast_grid,
    import_view,
    importing_news,
    promoting,
    rollout,
    searching,
    settings_view,
    status,
    sweeping,
    tables,
    training,
    valuing,
)
from timegpt_assets.cli.events_behind import Behind, Event
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.news.formats.own import Understood
from timegpt_assets.core.news.formats.own_imports import Import, Reading
from timegpt_assets.core.tables.gates import INSUFFICIENT
from timegpt_assets.definitions import load_runtime
from timegpt_assets.engine.due import Due
from timegpt_assets.engine.health import Finding
from timegpt_assets.reports import news
from timegpt_assets.reports.runs import Side
from timegpt_assets_tests.cli import test_status
from timegpt_assets_tests.reports.pictures import newsrooms
from timegpt_assets_tests.reports.pictures import test_sweep as drawn

PACKAGE = Path(tables.__file__).parent
STYLING = re.compile(r"\x1b\[[\d;]*m")
ROWS_OF_WORDS = st.lists(st.tuples(*[st.text("aé日_./ ,\n[]", max_size=60)] * 3), min_size=1, max_size=6)
Show = Callable[[Terminal], None]


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], show: Show, width: int | None) -> str:
    """Return what a terminal of that width is given, or a pipe where none is said."""
    monkeypatch.setenv("TTY_COMPATIBLE", "0" if width is None else "1")
    monkeypatch.setenv("COLUMNS", str(width or 80))
    capsys.readouterr()
    show(Terminal())
    return STYLING.sub("", capsys.readouterr().out)


def words(table: Table) -> list[str]:
    """Return what is never broken: the columns' names, and every word of the cells."""
    return [*table.columns, *(word for row in table.rows for cell in row.cells for word in cell.plain.split())]


def assert_whole(told: str, drawn: list[Table], width: int | None) -> None:
    """Every word of a cell is there; lines are as wide as the terminal, or one word; in a pipe each row is a line."""
    assert drawn
    assert "…" not in told
    lines = told.splitlines()
    for table in drawn:
        cells = [word for row in table.rows for cell in row.cells for word in cell.plain.split()]
        assert [word for word in cells if word not in told] == []
        if width is None:
            rows = [line for line in lines if line.count("\t") == len(table.columns) - 1]
            assert len(rows) >= len(table.rows) + 1
    if width is None:
        assert not re.search(r"[─-╿]|\x1b", told)
    else:
        longest = max(cell_len(word) for table in drawn for word in words(table))
        inside = [line for line in lines if re.search(r"^  |  |─", line)]
        assert max(map(cell_len, inside), default=0) <= max(width, longest + 2 * tables.GAP), told


@pytest.fixture
def drawn_tables(monkeypatch: pytest.MonkeyPatch) -> list[Table]:
    """Return the tables that are printed from now on."""
    seen: list[Table] = []
    render = Table.__rich_console__

    def recorded(table: Table, *rest: Any) -> Any:
        seen.append(table)
        return render(table, *rest)

    monkeypatch.setattr(Table, "__rich_console__", recorded)
    return seen


@pytest.mark.parametrize("width", [1, 40, 80, 200, None])
@given(rows=ROWS_OF_WORDS)
@settings(max_examples=60, deadline=None)
def test_no_word_of_any_table_is_lost_at_any_width(width: int | None, rows: list[tuple[str, ...]]) -> None:
    table = Table(("name", "what is said", "n"), title="a table")
    for row in rows:
        table.add(*row)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TTY_COMPATIBLE", "0" if width is None else "1")
        monkeypatch.setenv("COLUMNS", str(width or 80))
        out = Terminal()
        with out.capture() as captured:
            out.print(table)
    told = STYLING.sub("", captured.get())
    assert_whole(told, [table], width)
    if width is None:
        assert told.count("\n") == len(rows) + 2


GATE = {"gate": "forecast_gate", "passed": False, "criterion": "pinball_ratio", "symbol": "AAPL"}
GATE |= {"reason": f"{INSUFFICIENT}: 3 sessions of the 20 that gates.min_sessions asks for"}
PAIR = {"forecaster": "climatology", "against": "timegpt", "n": 123_456, "rpinball": 1.0123, "rpinball_low": 0.9}
PAIR |= {"rpinball_high": 1.1, "rpinball_p_holm": 0.0312, "rmae": 1.01, "coverage_80": 0.812}
PAIR |= {"pnl_difference": -12_345.6, "pnl_difference_low": -20_000.0, "pnl_difference_high": 1_000.0}
PAIR |= {"spent_per_thousand": 12.5, "spent_per_bp": None}
FOUND = {"profile": "demo", "first_day": date(2025, 1, 16), "last_day": date(2025, 3, 14), "days": 40, "runs": 20}
FOUND |= {"partitions_made": 12_345, "partitions_there": 678, "seconds": 12.3, "days_waiting": [], "why_waiting": ""}
FOUND |= {
    "remade": {},
    "sessions": {},
    "incomplete": {},
    "untaught": {},
    "verdicts": {"ok": 3},
    "report": "/somewhere/report.html",
}
FOUND |= {"summary": {"gates: promotion": f"not passed: {INSUFFICIENT}", "forecasts: scored": "3,456"}}
FOUND |= {"comparison": [PAIR], "gates": [GATE], "forecasts": {"low_ev": 12, "traded": 3}}
DAY = {"day": date(2025, 1, 16), "snapshots": 5, "needed": 3, "cached": 2}
PLAN = {"profile": "prod", "host": "api.nixtla.io", "by_day": [DAY], "money": 1.5, "calls_needed": 4, "days": 1}
PLAN |= {"requests_needed": 3, "max_bytes_per_request": 1_234_567, "model_params_needed": 1, "requests_cached": 2}
PLAN |= {"requests_lost": 0, "calls_left": {"per_run": 5, "per_day": 20}, "days_payable_now": 1, "runs_now": 1}
PLAN |= {"finished_on": date(2025, 1, 17), "calls_a_year": {"single": 1000, "cross_validation": 100}}
RULE = {"rule": "missing_minutes", "severity": "fail", "days": 12, "rows": 3_456, "first": "2025-01-16 AAPL"}
LACK = {"symbol": "BRK.B", "first": "2025-01-16", "last": "2025-03-14", "sessions": 12, "kind": "not_delivered"}
FINDING = {"day": "2025-01-16", "symbol": "AAPL", "verdict": "quarantined", "reason": "12 of 390 minutes are missing"}
QUALITY = {"rules": [RULE], "findings": [FINDING], "absences": [LACK], "verdicts": {"ok": 3}, "symbol_days": 3}
QUALITY |= {"missing_minutes": [{"symbol": "AAPL", "days": 3, "minutes": 4}], "symbols": 1, "outside": 0, "path": "/x"}
BOOKS = {"spent": {"per_day": 3, "per_month": 40}, "frozen": None, "waiting": [], "sent_this_month": 12}
REASONS = pl.DataFrame([GATE | {"criterion": "deflated_sharpe_probability"}])
BOARD = pl.DataFrame(
    {"rank": [1], "combination": ["c0d70e5aa0dff031"], "trades": [1234], "sharpe_daily": [0.123]}
).with_columns(pit_deviation=0.1, composite=0.1, status=pl.lit("scored"), gates_passed=pl.lit(False))  # fmt: skip
CHOICES = {"c0d70e5aa0dff031": {"horizon_min": 15}, "other": {"horizon_min": 30}}
CANDIDATE = {"combination": "c0d70e5aa0dff031", "verdict": INSUFFICIENT, "rules": '{"k_sigma": 0.5, "s_stop": 1.0}'}
CANDIDATE |= {"value": 0.1, "chosen_value": 0.2, "net_pnl": 12_345.6, "max_drawdown": -0.1, "trades": 12}
CANDIDATE |= {"reject_rate": 0.5, "first_day": date(2025, 1, 2), "last_day": date(2025, 3, 14), "observation_days": 40}
VERDICTS = pl.DataFrame({"symbol": ["AAPL"], "first": [date(2025, 1, 2)], "last": [date(2025, 1, 3)]})
VERDICTS = VERDICTS.with_columns(ok=1, warned=0, quarantined=1, no_data=0, first_reason=pl.lit("12 minutes miss"))


SEARCHED = {"candidates": [CANDIDATE], "forecaster": "ridge", "partitions_made": 1, "partitions_there": 2}
SEARCHED |= {"seconds": 1.2, "trials": {}, "pictures": {}}
TRIALS = pl.DataFrame({"duplicate_of": [None], "tried": [12]}, schema={"duplicate_of": pl.String, "tried": pl.Int64})
FINDINGS = [
    Finding("packages", "warn", "polars>=2 is asked, 1.9.0 is there; nixtla is not installed", "make setup"),
    Finding("storage", "ok", "/a/folder/with/a/long/name/of/one/piece/data/prod/ was written and read"),
]
SIDES = [
    Side(name=name, settings={"trading.k_sigma": value}, figures={"pinball loss": INSUFFICIENT})
    for name, value in (("demo:2025-02", "0.5"), ("dev:2025-02", "0.75"))
]
LACKING = {"criterion": "symbol_gates", "value": 3.0, "threshold": 20.0, "passed": False, "reason": INSUFFICIENT}
ROLLED_OUT = {"forecaster": "lightgbm", "phase": "canary", "share": 10, "symbols": ["AAPL"], "sessions": 3}
ROLLED_OUT |= {"since": "2025-03-28T20:30:00+00:00", "why": "every criterion of shadow holds", "seated": True}
ROLLED_OUT |= {"next": "ramp", "criteria": [LACKING, LACKING | {"value": None}]}
MODELS = [
    {"forecaster": "lightgbm", "policy": None, "sessions": 30, "rows": 48_000, "digest": "a1b2" * 16, "reason": ""},
    {"forecaster": "blend", "policy": "blend_alpha_0.3", "sessions": 0, "rows": 0, "digest": None, "reason": "too few"},
]
TRAINED = {"profile": "demo", "month": "2025-03", "untaught": {"training_set": ["2025-01"]}, "days_awaiting_bars": []}
TRAINED |= {"partitions_made": 4, "runs": 2, "partitions_there": 40, "seconds": 3.5}
TRAINED |= {"models": [row | {"pinball_ratio": 0.987 if row["digest"] else None} for row in MODELS]}
VALUED = {"profile": "demo", "month": "2024-03", "verdict": news.verdict(newsrooms.news())}
VALUED |= {"days_awaiting_bars": ["2024-03-14"]}
MOVED = [{"feature": "ret_5m", "missing": False, "value": 0.00123, "contribution": 0.04}]
MOVED += [{"feature": "*", "missing": False, "value": None, "contribution": -0.01}]
EXPLAINED = [
    {"forecaster": "lightgbm", "snapshot_ts": datetime(2025, 3, 3, 15, tzinfo=UTC), "part": "centre", "base": 0.0}
    | {"forecast": 0.03, "method": "contributions", "policy": None, "digest": "a1b2" * 16, "moved_by": MOVED}
]
ORIGIN = Origin(
    event_id="ab" * 32,
    title="Acme opens a second plant in Ohio, says its chief",
    source="gdelt_files",
    tier=3,
    url=None,
    published_at=None,
    known_at=datetime(2025, 3, 3, 14, 45, tzinfo=UTC),
    content_hash="cd" * 32,
    lies_at=None,
)
BEHIND = Behind(
    events=[Event(("lightgbm", datetime(2025, 3, 3, 15, tzinfo=UTC), "centre"), 0.0123, ["news_count_30m"], ORIGIN)],
    lost="events behind AAPL on 2025-03-03 are not stored: timegpt-assets backfill",
    flags=pl.DataFrame({"snapshot_ts": [datetime(2025, 3, 3, 15, tzinfo=UTC)], "news_missing": [True]}),
)
STATE = {"source": "gdelt_doc", "asked": 1_234, "answered": 1_200, "failed": 34, "held": "15:30 UTC: asked too often"}
STATE |= {"first_failure": "throttled: Please limit requests"}
FETCHED = {"profile": "dev", "first_day": date(2025, 3, 3), "last_day": date(2025, 3, 4), "sources": [STATE]}
FETCHED |= {"events": 12_345, "partitions_made": 14, "seconds": 3.5, "read_by_features": True}
UNDERSTOOD = Understood(
    rows=12_345,
    columns={"date": "Datum", "clock": "Uhrzeit", "title": "Überschrift der Meldung"},
    events=(),
    left_out={"no title": [3, 4], "a time nobody can read": [12_345]},
    notes=("every time is midnight: taken for dates without a clock time",),
)
TAKEN = Import(
    name="a", first=date(2018, 3, 1), last=date(2018, 4, 2), reading=Reading(zone="Europe/Berlin"), content_hash="ab"
)
IMPORTED_NEWS = [
    Told(name="a folder/meldungen.csv", became="beside", found=UNDERSTOOD, taken=TAKEN, words="has changed"),
    Told(name="table.xlsx", became="refused", words="is no text but begins b'PK'"),
]
EXPECTED = [
    Due(
        what="session 2025-01-16",
        by=datetime(2025, 1, 17, 1, tzinfo=UTC),
        state="waits for bars of AAPL, META until 2025-01-17 23:00 UTC",
        is_there=False,
        at=datetime(2025, 1, 17, 3, tzinfo=UTC),
    )
]
TABLES: dict[str, Show] = {
    "train": lambda out: training.show(TRAINED),
    "events behind a forecast": lambda out: events_behind.show("AAPL on 2025-03-03", BEHIND),
    "fetch-news": lambda out: fetching.show(FETCHED),
    "news-value": lambda out: valuing.show(VALUED, newsrooms.news()),
    "explain": lambda out: explaining._show(date(2025, 3, 3), "AAPL", EXPLAINED),
    "what a run found, with gates and forecasters side by side": lambda out: console.show(FOUND, out),
    "config": lambda out: settings_view.show(load_runtime(environ={}, profile="demo").settings, as_json=False),
    "check-data": lambda out: bars.shown(QUALITY, out),
    "plan": lambda out: calls.show(PLAN, as_json=False),
    "budget": lambda out: out.print(calls.budget_table("account mine at api.nixtla.io", BOOKS)),
    "sweep": lambda out: out.print(sweeping._table("ridge", drawn.scores())),
    "sweep --forecast-grid": lambda out: out.print(forecast_grid._board_table(BOARD, CHOICES)),
    "promote": lambda out: out.print(promoting._table(REASONS)),
    "rollout": lambda out: rollout._show({"profile": "demo", "symbols": 10, "rollouts": [ROLLED_OUT]}, out),
    "search": lambda out: searching._show(SEARCHED, {"1": TRIALS, "2": TRIALS}),
    "status": lambda out: status._show("demo", test_status.house(7, test_status.troubled), [], out),
    "due": lambda out: due._show(EXPECTED, [], out),
    "doctor": lambda out: doctor.shown(FINDINGS, as_json=False),
    "compare RUN RUN": lambda out: comparing._show(SIDES, [], "/a/page.html", "demo against dev", as_json=False),
    "import-news": lambda out: importing_news.show(IMPORTED_NEWS, "timegpt-assets fetch-news --start 2018-03-01", out),
    "import-bars": lambda out: import_view.show([], VERDICTS, Path("/bars"), out),
}


@pytest.mark.parametrize("width", [40, 80, 200, None])
@pytest.mark.parametrize("name", TABLES)
def test_every_verb_s_table_is_whole_in_a_terminal_and_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    drawn_tables: list[Table],
    name: str,
    width: int | None,
) -> None:
    assert_whole(printed(monkeypatch, capsys, TABLES[name], width), drawn_tables, width)


def test_a_pipe_gets_what_grep_and_awk_can_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = printed(monkeypatch, capsys, TABLES["what a run found, with gates and forecasters side by side"], None)
    (gate,) = [line for line in told.splitlines() if line.startswith("forecast_gate")]
    assert gate.split("\t") == ["forecast_gate", "no", "pinball_ratio of AAPL", GATE["reason"]]


def test_who_forces_colours_in_a_pipe_gets_whole_lines_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = printed(monkeypatch, capsys, TABLES["promote"], None)
    monkeypatch.delenv("TTY_COMPATIBLE")
    monkeypatch.setenv("FORCE_COLOR", "1")
    TABLES["promote"](Terminal())
    assert capsys.readouterr().out == plain


def test_a_dumb_terminal_and_one_without_colours_get_plain_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as chosen:
            chosen.setenv(variable, value)
            TABLES["promote"](Terminal())
        told = capsys.readouterr().out
        assert INSUFFICIENT in told
        assert not re.search(r"\x1b\[\d*;?3\d", told), "a colour"
        assert ("\x1b" in told) == (variable == "NO_COLOR"), "bold is no colour; a dumb terminal has neither"


def test_tables_are_laid_out_in_one_place() -> None:
    assert {path.name for path in PACKAGE.glob("*.py") if "rich.table" in path.read_text()} == {"tables.py"}
    made = {path.name for path in PACKAGE.glob("*.py") if re.search(r"[^.]\bTable\(\(|\bTable\(\w", path.read_text())}
    assert made <= COVERED, "its table is in no case above"


COVERED = {
    "comparing.py",
    "doctor.py",
    "due.py",
    "events_behind.py",
    "explaining.py",
    "fetching.py",
    "models.py",  # in test_models.py, of a registry
    "status.py",
    "tsfm.py",  # in test_tsfm.py, of a replay
    "tsfm_evaluate.py",  # in test_tsfm_evaluate.py, of stored prices
    "bars.py",
    "calls.py",
    "console.py",
    "forecast_grid.py",
    "import_view.py",
    "importing_news.py",
    "promoting.py",
    "rollout.py",
    "searching.py",
    "settings_view.py",
    "sweeping.py",
    "training.py",
    "valuing.py",
}
