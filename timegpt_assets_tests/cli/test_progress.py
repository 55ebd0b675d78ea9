"""What a command says while it works: a line that moves on a terminal, few lines in a pipe."""

import io
import os
import pty
import re
import select
import time
from datetime import date

import pytest
from dagster import AssetKey

from timegpt_assets.cli import progress as told
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.terminal import Line, Terminal
from timegpt_assets.engine.plans import PartitionRef, RangeRun
from timegpt_assets.engine.progress import Amount

KEY = AssetKey(["calibration", "calibration_models"])
DAYS = [date(2025, 1, day) for day in (6, 7, 8, 9, 10, 13, 14, 15, 16, 17)]
RUN = RangeRun(assets=(KEY,), partitions=frozenset(PartitionRef(day, s) for day in DAYS for s in "ABCDEFGHIJ"))


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def begun(messages: Terminal, clock: Clock) -> Progress:
    progress = Progress(messages, clock)
    progress.planned(lambda: {KEY: Amount(200, 1.0)})
    progress.heard(RUN, False)
    return progress


def test_in_a_pipe_a_tenth_is_told_and_never_more_often_than_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = begun(Terminal(stderr=True), clock)
    for _ in range(100):
        clock.now += 0.9
        progress.stored(KEY)
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert lines[0] == "so far: calibration/calibration_models: 20 of 200 partitions, 18 s so far"
    assert len(lines) == 5, "at 20, 40, 60, 80 and 100 of 200"
    for _ in range(100):
        progress.stored(KEY)
    assert capsys.readouterr().err == "", "fast ones are no news"


def test_an_estimate_is_told_as_about(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = begun(Terminal(stderr=True), clock)
    clock.now = 100.0
    progress.heard(RUN, True)
    assert progress.told().endswith("100 of 200 partitions, 100 s so far, about 100 s left")
    assert progress.told(80).startswith("what is there: 100 of 200 partitions")
    assert progress.told(24) == "100 of 200 partitions"
    assert progress.told(5) == ""
    assert re.fullmatch(r"✓ calibration_models  .* 100 partitions  100.0 s\n", capsys.readouterr().err)


def test_on_a_terminal_one_line_moves_and_is_gone_when_anything_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "DRAWN_EVERY_SEC", 0.02)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        messages = Terminal()
        messages.file = stream
        progress = begun(messages, Clock())
        seen = read_until(ours, "0 of 200 partitions")
        messages.print("a message")
        seen += read_until(ours, "a message")
        progress.close()
        os.close(ours)
        assert re.search(r"\x1b\[2K\r+a message", seen), seen
        assert all(line.count("partitions") <= 1 for line in seen.split("\r"))
        assert "\n" not in seen.split("a message")[0], "the line moves, and never down"
    assert Line.seen is None


def read_until(handle: int, words: str) -> str:
    """Return what a terminal was given up to these words."""
    found, until = "", time.monotonic() + 10.0
    while words not in found and time.monotonic() < until:
        if select.select([handle], [], [], 0.1)[0]:
            found += os.read(handle, 65_536).decode()
    assert words in found
    return found


def test_a_dumb_terminal_is_told_like_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    messages = Terminal()
    out = messages.file = io.StringIO()
    clock = Clock()
    progress = begun(messages, clock)
    clock.now = 30.0
    for _ in range(20):
        progress.stored(KEY)
    progress.close()
    assert "so far: " in out.getvalue()
    assert "\x1b" not in out.getvalue()
