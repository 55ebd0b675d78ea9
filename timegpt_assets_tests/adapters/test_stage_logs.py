"""What stages log is one JSON object a line in a file of their own, without a secret, and only where the rim asks."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets.adapters.stage_logs import REDACTED, STAGES, begin, kept, stage_log

SECRET = "a-key-that-nobody-may-read"


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
    with kept(tmp_path, ["", SECRET]):
        stage_log("forecast").error(f"refused {SECRET}", why=ValueError(SECRET), fields={"key": [SECRET]})
    text = (tmp_path / "forecast.log").read_text()
    assert SECRET not in text
    assert text.count(REDACTED) == 3


def test_without_the_rim_nothing_is_written_and_within_a_command_lines_come_once(tmp_path: Path) -> None:
    stage_log("sweep").info("before")
    with kept(tmp_path), kept(tmp_path):
        assert begin(tmp_path / "elsewhere") == {}
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
