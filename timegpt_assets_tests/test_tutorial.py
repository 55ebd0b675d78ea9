"""Every command of the pages: understood by the command line, and run by a test or accounted for.

The tutorial is walked as it stands, command for command, on a smaller market; its promises are asked of what came out.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from timegpt_assets.cli import app as cli
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.test_docs import joined, read

TUTORIAL = PROJECT / "docs" / "tutorial.md"
WALKED = [PROJECT / "README.md", TUTORIAL, *sorted((PROJECT / "docs" / "how-to").glob("*.md"))]
SHELL = re.compile(r"^( *)```(?:sh|bash|shell|console)\n(.*?)^ *```$|((?:^ {4,}\S.*\n)+)", re.M | re.S)
COMMAND = re.compile(
    r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(timegpt-assets|make|python|uv|pip|git|marimo|docker|dagster)\b.*"
)
PLACEHOLDERS = {"DAY": "2025-03-14", "/path/to/vendor": __file__, "minutes.csv": __file__, "headlines.csv": __file__}
"""What a reader puts another word for, and one that may stand there."""

HERE = "test_tutorial.py::test_the_tutorial_is_walked_as_it_stands"
ADDED = "test_add_something.py::test_the_forecaster_answers_beside_everybody_and_its_rows_reach_the_scores"
RUN_BY = {
    r"timegpt-assets forget-events": (
        "instance/test_old_events.py"
        "::test_a_house_makes_nothing_again_and_tells_the_same_after_its_old_events_are_let_go"
    ),
    r"make demo|timegpt-assets (demo|run-day 2025-03-14 --profile demo|evaluate --profile demo)": HERE,
    r"make docs|timegpt-assets (build-features|run-day) .*(--force|challengers|IBM)|uv pip install \./": ADDED,
    r"\(umask 077; echo": "adapters/models/test_signing.py::"
    "test_the_line_that_makes_a_key_makes_one_that_its_owner_alone_can_read",
    r"timegpt-assets check-data .*gcs": "test_gcs_road.py::test_every_table_in_a_bucket_is_the_one_on_disk",
    r"TIMEGPT_ASSETS_CONFIG_DIR=\S+ timegpt-assets backfill": "cli/test_forecast_grid_house.py::"
    "test_the_settings_of_a_combination_make_the_same_figures_on_their_own",
    r"dagster-celery worker start": "test_scale_out.py::"
    "test_two_workers_share_a_backfill_and_what_a_killed_one_left_is_run_again",
    r"marimo (run|edit) notebooks/what_happened": "test_notebooks.py::test_what_happened_counts_what_is_stored",
    r"marimo (run|edit) notebooks/is_timegpt": "test_notebooks.py::"
    "test_is_timegpt_worth_it_says_what_the_intervals_say_and_claims_nothing_of_a_simulation",
}
"""Command -> the test that runs it, or what it stands for, on settings small enough for a test."""
VERB_OF = {"make ui": "ui", "make sweep": "sweep", "make search": "search"}
"""What `make` says for a verb; any other verb is run by the tests that invoke it by its name."""
NOT_RUN = {
    r"uv pip install 'timegpt-assets\[": "asks a package index; make setup installs the same extras from the lock",
    r"git clone https://github.com/tollama/": "fetches another project: test_daemon.py asks it where it is there",
    r"python -m timegpt_assets_tests.servers.tollama": "serves until it is stopped: tests start it",
    r"python -m timegpt_assets_tests.benchmarks.tsfm_load": "takes minutes: serving/tsfm/test_load.py has its load",
    r"python -m timegpt_assets_tests.feature_pictures": "draws pictures of bars that do not ship",
}


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of a page's blocks, each on one line, in their order."""
    for _, fenced, indented in SHELL.findall(joined(read(page))):
        for line in map(str.strip, (fenced or indented).splitlines()):
            if fenced or COMMAND.match(line):
                yield line.removeprefix("$ ")


ALL = [(page, command) for page in WALKED for command in commands(page)]


def named(found: tuple[Path, str]) -> str:
    return f"{found[0].stem}: {found[1][:60]}"


def test_the_pages_have_commands() -> None:
    assert len(ALL) > 30
    assert {page.stem for page, _ in ALL} >= {"tutorial", "add-a-gate", "ask-timegpt", "plan-and-pay"}


@pytest.mark.parametrize("found", ALL, ids=named)
def test_a_command_of_the_pages_is_run_by_a_test_or_accounted_for(found: tuple[Path, str]) -> None:
    command = found[1].removeprefix(".venv/bin/")
    if any(re.match(pattern, command) for pattern in NOT_RUN):
        return
    by = next((test for pattern, test in RUN_BY.items() if re.match(pattern, command)), None)
    if by:
        file, _, test = by.partition("::")
        assert f"def {test}(" in read(Path(__file__).parent / file), by
    else:
        verb = VERB_OF.get(command) or command.removeprefix("timegpt-assets ").split()[0]
        assert verb in invoked(), f"nothing runs {command!r}: name the test in RUN_BY, or say in NOT_RUN why none does"


@cache
def invoked() -> frozenset[str]:
    """Return the first words of what tests of the command line invoke, and those of a parameter ``verb``."""
    files = [*Path(__file__).parent.glob("cli/test_*.py"), Path(__file__).parent / "test_promotion.py"]
    text = "".join(map(read, files))
    lists = "".join(re.findall(r'parametrize\("verb", \[([^\]]*)\]', text))
    return frozenset(re.findall(r'(?:\[|\(|\(\w+, )"([a-z-]+)"[,\])]', text)) | frozenset(re.findall(r"[a-z-]+", lists))


@pytest.mark.parametrize("found", [one for one in ALL if "timegpt-assets " in one[1]], ids=named)
def test_a_command_of_the_pages_is_understood(found: tuple[Path, str]) -> None:
    """Options, choices and dates are read as the command line reads them; nothing is run."""
    typed = shlex.split(found[1].partition(" > ")[0])  # where its output goes is the shell's business
    words = [PLACEHOLDERS.get(word, word) for word in typed]
    after = next(n for n, word in enumerate(words) if word.endswith("timegpt-assets")) + 1
    app: Any = typer.main.get_command(cli.app)
    verb = app.commands[words[after]]
    with verb.make_context(words[after], words[after + 1 :]) as context:
        assert context.params


def python_blocks(page: Path) -> str:
    """Return the Python of a page as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", read(page), re.M | re.S))


SMALL = (
    "universe.tickers=[AAPL, MSFT]", "universe.context=[SPY]", "data.start_date=2025-02-24", "forecast.history_days=5",
    "forecast.challengers=[zero]", "features.warmup_sessions=2", "data.synthetic.predictability=0.6",
)  # fmt: skip


@pytest.mark.whole
@pytest.mark.timeout(1800)
def test_the_tutorial_is_walked_as_it_stands(tmp_path: Path) -> None:
    places = ("storage_root=data/demo", "artifacts_root=artifacts", "dagster_home=.dagster")
    small = [*SMALL, *(f"data.{one.replace('=', f'={tmp_path}/')}" for one in places)]
    environment = {**os.environ, "TIMEGPT_ASSETS_SET": "\n".join(small), "COLUMNS": "200"}
    start = [sys.executable, "-c", "from timegpt_assets.cli.app import app; app()"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    walked = {"make demo": run(*start, "demo"), "again": run(*start, "demo")}
    for command in commands(TUTORIAL):
        if not command.startswith("make "):
            walked[command] = run(*start, *shlex.split(command)[1:])
    for command, done in walked.items():
        assert done.returncode == (3 if " evaluate " in command else 0), done.stderr[-3000:]
    first = walked["make demo"]
    assert "✓ raw_bars" in first.stderr
    assert (tmp_path / "artifacts" / "reports" / "demo" / "2025-03" / "report.html").exists()
    assert "2025-03/report.html" in first.stdout
    assert "✓" not in walked["again"].stderr, "a day is never made twice by accident"
    evaluated = next(done for command, done in walked.items() if " evaluate " in command)
    assert evaluated.stderr.splitlines()[-1].startswith("gates failed: ")
    read_back = run(sys.executable, "-c", python_blocks(TUTORIAL))
    assert read_back.returncode == 0, read_back.stderr[-3000:]
    for said in ("q25", "event_cpi", "insufficient_observation"):
        assert said in read_back.stdout
