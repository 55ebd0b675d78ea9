"""What every test may ask for (real bars, how many repetitions a soak takes), and what fails a run without failures."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from timegpt_assets_tests.secret_search import SecretSearch

if TYPE_CHECKING:  # imported by who asks for them: Dagster takes seconds, which a test of the core has no need to wait
    from timegpt_assets_tests.commands import Commands
    from timegpt_assets_tests.read_house import ReadHouse

REAL_DATA = "TIMEGPT_ASSETS_REAL_DATA"
SKIPS = "TIMEGPT_ASSETS_SKIPS"

gc.disable()
"""While everything is imported, whose objects stay: looking through them again and again takes a fifth of the start."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --soak: the whole repetition counts instead of a twentieth."""
    parser.addoption("--soak", action="store_true", help="run repetition tests in full")


def pytest_configure(config: pytest.Config) -> None:
    """Search the whole run, of all workers, for the API keys of its tests; a busy machine fails no property."""
    settings.register_profile("busy", deadline=None)
    settings.load_profile("busy")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecretSearch(config))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped a test where TIMEGPT_ASSETS_SKIPS is ``fail``: all that tests ask for is there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(SKIPS) == "fail" and reporter and reporter.stats.get("skipped") and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a run fails that has no failed test."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped and os.environ.get(SKIPS) == "fail":
        terminalreporter.line(
            f"{skipped} skipped, and {SKIPS}=fail: start what they name above, or unset {SKIPS}.", red=True
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test that asks for ``repetitions`` as a soak, and put the files that may take longest first.

    A soak is whole in `make soak`, a twentieth in `make test`; what is marked ``whole`` is asked in a soak alone. A
    long file that begins last would run alone.
    """
    if not config.getoption("--soak"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("whole")])
        items[:] = [item for item in items if not item.get_closest_marker("whole")]
    longest: dict[Path, float] = {}
    for item in items:
        if "repetitions" in getattr(item, "fixturenames", ()) or item.get_closest_marker("whole"):
            item.add_marker(pytest.mark.soak)
        allowed = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), float(allowed.args[0]) if allowed else 0.0)
    items.sort(key=lambda item: -longest[item.path])


def pytest_collection_finish() -> None:
    """Let what is garbage from now on be looked for among what is made from now on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def repetitions(pytestconfig: pytest.Config):
    """Return the function that gives the number of repetitions: all in a soak, else a twentieth (at least one)."""
    return lambda count: count if pytestconfig.getoption("--soak") else max(1, count // 20)


@pytest.fixture(scope="session")
def commands() -> Iterator["Commands"]:
    """Yield a server of forked commands, which have their imports behind them."""
    from timegpt_assets_tests.commands import Commands

    made = Commands()
    yield made
    made.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real bar sets; skip, saying why, where there is none."""
    folder = os.environ.get(REAL_DATA)
    if not folder:
        pytest.skip(f"{REAL_DATA} is not set: no real bars on this machine")
    return Path(folder)


@pytest.fixture(scope="session")
def read_house(tmp_path_factory: pytest.TempPathFactory) -> "ReadHouse":
    """Return a small finished house, made once in a test run; whoever changes tables copies them first."""
    from timegpt_assets_tests.read_house import made, shared

    return made(shared(tmp_path_factory))


@pytest.fixture(autouse=True)
def logs_ended() -> Iterator[None]:
    """Let no test log to the files that another began: a process that loads the definitions logs until it ends."""
    yield
    if (stage_logs := sys.modules.get("timegpt_assets.adapters.stage_logs")) is None:
        return
    for stage in stage_logs.STAGES:
        logger = logging.getLogger(f"timegpt_assets.stage.{stage}")
        for handler in [*logger.handlers]:
            logger.removeHandler(handler)
            handler.close()
