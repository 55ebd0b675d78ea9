"""Help, completion and refusals answer at once: what they need is imported, and nothing else.

A process each for what may import nothing but the words, and for what may import the settings and the calendar.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timegpt_assets.cli.app import VERBS, app

CALL = """
import sys
from typer.testing import CliRunner
from timegpt_assets.cli.app import app
for words in {commands!r}:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == {code}, (words, done.output)
    assert "Traceback" not in done.output
print(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
NAMES = [function.__name__.replace("_", "-") for function in VERBS]
SOME_HELP = ["plan", "--help"]
A_REFUSAL = ["run-day", "2025-01-16", "--symbols", "aapl"]


def imported(commands: Sequence[Sequence[str]], *, code: int) -> set[str]:
    """Return the packages that a fresh process holds after these commands, each of which ends with the code."""
    script = CALL.format(commands=commands, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def cpu_seconds(words: Sequence[str], folder: Path) -> float:
    """Return what a process at these words takes, of two the faster."""
    taken = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "timegpt_assets.cli.app", *words], capture_output=True, cwd=folder, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_the_help_of_every_verb_imports_neither_dagster_nor_polars_nor_any_setting():
    held = imported([["--help"], *([name, "--help"] for name in NAMES)], code=0)
    assert held & {"dagster", "polars", "numpy", "yaml", "sqlalchemy"} == set()


def test_a_verb_or_option_or_word_that_is_none_is_refused_as_quickly_and_is_not_understood():
    wrong = [["run-dya"], ["plan", "--strat", "2025-01-02"], ["cache", "nonsense"], ["budget", "nonsense"]]
    assert imported(wrong, code=2) & {"dagster", "polars", "numpy", "yaml"} == set()


def test_what_settings_symbols_assets_and_days_refuse_is_refused_without_dagster():
    day = ["run-day", "2025-01-16"]
    wrong = [
        [*day, "--set", "forecast.horizon_min=-1"],
        [*day, "--profile", "dve"],
        A_REFUSAL,
        ["run-day", "2025-01-20"],
        ["run-day", "1990-01-02"],
        ["backfill", "--start", "2025-01-17", "--end", "2025-01-16"],
        ["backfill", "--start", "2025-01-16", "--end", "2025-01-16", "--assets", "barz"],
        ["plan", "--start", "2025-01-20", "--end", "2025-01-20", "--profile", "dev"],
    ]
    assert imported(wrong, code=1) & {"dagster", "sqlalchemy", "optuna"} == set()


@pytest.mark.parametrize(("words", "most"), [(SOME_HELP, 1.0), (A_REFUSAL, 2.0)])
def test_a_process_that_only_says_something_takes_a_fraction_of_what_dagster_takes_to_import(words, most, tmp_path):
    # a busy machine stretches these: 0.3 and 0.8 measured on a quiet one, 2.9 with Dagster
    assert cpu_seconds(words, tmp_path) < most


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run-dya"], "Did you mean 'run-day'?"),
        (["plan", "--strat", "2025-01-02"], "--start"),
        (["run-day", "2025-01-16", "--symbols", "aapl"], "Did you mean AAPL?"),
        (["run-day", "2025-01-16", "--profile", "dve"], "Did you mean dev?"),
        (["run-day", "2025-01-16", "--set", "forecast.horizn_min=5"], "Did you mean forecast.horizon_min?"),
        (["backfill", "--start", "2025-01-16", "--end", "2025-01-16", "--assets", "TRADES"], "Did you mean trades?"),
    ],
)
def test_a_slip_of_the_finger_is_answered_with_what_was_meant(words, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (1, 2)
    assert said in done.output


def test_the_version_is_that_of_the_package():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"timegpt-assets {version('timegpt_assets')}\n")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["run-d"], ["run-day"]),
        (["budget", "f"], ["freeze", "forget"]),
        (["run-day", "2025-01-1"], [f"2025-01-{day}" for day in (10, 13, 14, 15, 16, 17)]),
        (["run-day", "2025-01-16", "--symbols", "AAPL,M"], ["AAPL,META", "AAPL,MSFT"]),
        (["run-day", "2025-01-16", "--profile", "d"], ["demo", "dev"]),
        (["config", "--set", "forecast.hist"], ["forecast.history_days=", "forecast.history_mode="]),
        (["run-day", "2025-01-16", "--set", "nonsense", "--symbols", "A"], []),
    ],
)
def test_a_shell_is_offered_verbs_sessions_symbols_profiles_and_settings(words, offered, monkeypatch):
    asking = {
        "_ROOT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["root", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = CliRunner().invoke(app, [], env=asking)
    assert done.stdout.split() == offered
