"""What a name or a note can do to a terminal: nothing. It is text, and is shown as it was written.

Guards against a console, a style or a message of a later verb that takes somebody's words for markup.
"""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timegpt_assets.cli import terminal
from timegpt_assets.cli.app import app
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal, printable, under

PACKAGE = Path(terminal.__file__).parents[1]
NASTY = "see [/ticket] [bold]:smile:\x1b]0;owned\x07\x1b[2J\r\u202egnp.exe"
SHOWN = r"see [/ticket] [bold]:smile:\x1b]0;owned\x07\x1b[2J\r\u202egnp.exe"


def test_a_text_a_cell_and_a_title_are_shown_as_they_were_written(capsys: pytest.CaptureFixture[str]) -> None:
    out = Terminal()
    table = Table((NASTY,), title=NASTY)
    table.add(NASTY)
    out.print(NASTY, soft_wrap=True)
    out.width = 200
    out.print(table)
    told = capsys.readouterr().out
    assert told.count(SHOWN) == 4
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", told)


def test_a_warning_of_the_package_is_printed_once_and_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.listen()
    terminal.listen()
    logging.getLogger("timegpt_assets.adapters.storage").warning("%s is no record", NASTY)
    assert capsys.readouterr().err == f"{SHOWN} is no record\n"


def test_ordinary_words_are_left_alone() -> None:
    assert printable("Zürich\t日本 ✓ 10 %\nline") == "Zürich\t日本 ✓ 10 %\nline"


def test_what_the_streams_encoding_lacks_is_an_escape_and_no_failure(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "latin-1", "HOME": str(tmp_path)}
    named = "forecast.api_budget.account=日本"
    command = [sys.executable, "-m", "timegpt_assets.cli.app", "config", "--set", named]
    ran = subprocess.run(command, capture_output=True, env=environment, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stderr.decode("latin-1")) == (0, "")
    assert b"\\u65e5\\u672c" in ran.stdout


def test_every_message_of_the_command_line_goes_through_it() -> None:
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"rich\.console import .*\bConsole\b|\bConsole\(", path.read_text())
    ]
    assert set(found) == {"cli/terminal.py"}


def test_a_note_on_a_freeze_and_a_symbol_s_name_stop_no_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for words in (["freeze", "--why", NASTY], ["show"], ["thaw"]):
        found = CliRunner().invoke(app, ["budget", *words, "--profile", "dev", "--set", "data.source=synthetic"])
        assert found.exit_code == 0, found.output
        assert ("[/ticket]" in found.output) == (words[0] != "thaw")
    found = CliRunner().invoke(app, ["backfill", "--start", "2025-01-30", "--end", "2025-01-30", "--symbols", NASTY])
    assert found.exit_code == 1
    assert SHOWN in found.output
    assert "is not in the universe" in found.output


REMEDIES = {
    "Make it: timegpt-assets run-day 2025-02-03.": "Make it: timegpt-assets run-day --profile dev 2025-02-03.",
    "timegpt-assets rollout start lightgbm": "timegpt-assets rollout --profile dev start lightgbm",
    "Run `timegpt-assets budget thaw`.": "Run `timegpt-assets budget --profile dev thaw`.",
    "timegpt-assets train --month 2025-02 --profile prod": "timegpt-assets train --month 2025-02 --profile prod",
    "timegpt-assets promote, or timegpt-assets ui --profile prod": (
        "timegpt-assets promote --profile dev, or timegpt-assets ui --profile prod"
    ),
    "(timegpt-assets train), or timegpt-assets demo": "(timegpt-assets train --profile dev), or timegpt-assets demo",
    "timegpt-assets init BARS": "timegpt-assets init BARS",
    "Usage: timegpt-assets [OPTIONS]": "Usage: timegpt-assets [OPTIONS]",
}


@pytest.mark.parametrize("text", REMEDIES)
def test_a_command_that_is_printed_is_said_under_the_profile_that_was_said(text: str) -> None:
    assert under("dev", text) == REMEDIES[text]
    assert under(None, text) == text
    assert under("dev", under("dev", text)) == REMEDIES[text]


def test_a_remedy_of_another_profile_works_as_it_was_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was once typed as it stood, and answered for the demo."""
    monkeypatch.chdir(tmp_path)
    asked = ["--set", "forecast.challengers=[lightgbm]"]
    refused = CliRunner().invoke(app, ["rollout", "advance", "lightgbm", "--profile", "dev", *asked])
    assert refused.exit_code == 1
    found = re.search(r"timegpt-assets (rollout --profile dev start lightgbm)", refused.output)
    assert found, refused.output
    done = CliRunner().invoke(app, [*found[1].split(), *asked])
    assert "timegpt-assets run-day --profile dev" in done.output, "heard as what it was said for"
    plain = CliRunner().invoke(app, ["rollout", "advance", "lightgbm", *asked])
    assert "--profile" not in plain.output, "nobody said one: what is typed next is of the same"
