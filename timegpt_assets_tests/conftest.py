"""What every test may ask for: real bars, where they are, and how many repetitions a soak takes."""

import os
from pathlib import Path

import pytest

REAL_DATA = "TIMEGPT_ASSETS_REAL_DATA"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --soak: the whole repetition counts instead of a twentieth."""
    parser.addoption("--soak", action="store_true", help="run repetition tests in full")


@pytest.fixture(scope="session")
def repetitions(pytestconfig: pytest.Config):
    """Return the function that gives the number of repetitions: all in a soak, else a twentieth (at least one)."""
    return lambda count: count if pytestconfig.getoption("--soak") else max(1, count // 20)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real bar sets; skip, saying why, where there is none."""
    folder = os.environ.get(REAL_DATA)
    if not folder:
        pytest.skip(f"{REAL_DATA} is not set: no real bars on this machine")
    return Path(folder)
