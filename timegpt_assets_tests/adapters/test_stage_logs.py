"""What stages log is one JSON object a line in a file of their own, without a secret, and only where the rim asks."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets.adapters import stage_logs
from timegpt_assets.adapters.stage_logs import STAGES, begin, kept, stage_log
from timegpt_assets.config.errors import REDACTED
from timegpt_assets.config.redaction import Redaction

SECRET = 'a-key "that" nobody \\ may read'


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_stage_has_a_file_of_json_lines_that_is_made_with_the_first(tmp_path: Path) -> None:
    with kept(tmp_path / "logs"):
        assert not (tmp_path / "logs").exists()
        for stage in STAGES:
            stage_log(stage).info("asked", day="2025-01-28", series=4)
            stage_log(stage).warning("quantiles crossed", symbol="AAPL")
    for stage in STAGES:
        first, second = lines(tmp_path / "logs" / f"{stage}.log")
        assert (first["event"], first["level"], first["day"], first["series"]) == ("asked", "info", "2025-01-28", 4)
        assert (second["event"], second["level"], second["symbol"]) == ("quantiles crossed", "warning", "AAPL")
        assert first["ts"] <= second["ts"]


def test_a_secret_is_in_no_line_whatever_it_stands_in(tmp_path: Path) -> None:
    with kept(tmp_path, redacted=Redaction({"SOME_KEY": SECRET})):
        stage_log("forecast").error(f"refused {SECRET}", why=ValueError(SECRET), fields={"key": [SECRET]})
    text = (tmp_path / "forecast.log").read_text()
    assert SECRET not in text
    assert text.count(REDACTED) == 3


def test_without_the_rim_nothing_is_written_and_within_a_command_lines_come_once(tmp_path: Path) -> None:
    stage_log("sweep").info("before")
    with kept(tmp_path), kept(tmp_path):
        assert begin(tmp_path / "elsewhere") == []
        stage_log("sweep").info("within")
    stage_log("sweep").info("after")
    assert [line["event"] for line in lines(tmp_path / "sweep.log")] == ["within"]
    assert [file.name for file in tmp_path.iterdir()] == ["sweep.log"]


def test_a_log_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_text("a file in the folder's place")
    with kept(tmp_path / "logs"), caplog.at_level(logging.WARNING):
        stage_log("backtest").info("lost")
    assert "backtest.log cannot be written: a line is lost." in caplog.text


WRITER = """
import sys
from pathlib import Path
from timegpt_assets.adapters import stage_logs
stage_logs.MOST_BYTES, stage_logs.KEPT = 4000, 1000
with stage_logs.kept(Path(sys.argv[1])):
    for number in range(LINES):
        stage_logs.stage_log("forecast").info("asked", writer=sys.argv[2], number=number, symbol=["AAPL"] * 40)
"""


def test_processes_that_turn_a_file_over_lose_no_line_and_cut_none(tmp_path: Path) -> None:
    each, writers = 150, ("a", "b", "c")
    script = [sys.executable, "-c", WRITER.replace("LINES", str(each)), str(tmp_path)]
    running = [subprocess.Popen([*script, writer]) for writer in writers]
    assert [one.wait(timeout=120) for one in running] == [0, 0, 0]
    files = [file for file in tmp_path.glob("forecast.log*") if file.suffix != ".lock"]
    found = [(line["writer"], line["number"]) for file in files for line in lines(file)]
    assert sorted(found) == [(writer, number) for writer in writers for number in range(each)]
    assert len(files) > 10
    assert max(file.stat().st_size for file in files) < 4000 + 400 * (len(writers) + 1)


def test_a_full_file_is_kept_beside_the_new_one_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_logs, "MOST_BYTES", 1)
    monkeypatch.setattr(stage_logs, "KEPT", 2)
    with kept(tmp_path):
        for number in range(5):
            stage_log("sweep").info("swept", number=number)
    there = {
        file.name: [line["number"] for line in lines(file)]
        for file in tmp_path.glob("sweep.log*")
        if file.suffix != ".lock"
    }
    assert there == {"sweep.log": [4], "sweep.log.1": [3], "sweep.log.2": [2]}


def test_a_file_that_a_person_took_away_is_begun_anew(tmp_path: Path) -> None:
    with kept(tmp_path):
        stage_log("sweep").info("first")
        (tmp_path / "sweep.log").rename(tmp_path / "taken.log")
        stage_log("sweep").info("second")
    assert [[line["event"] for line in lines(tmp_path / name)] for name in ("taken.log", "sweep.log")] == [
        ["first"],
        ["second"],
    ]
