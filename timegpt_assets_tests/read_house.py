"""A small finished house that tests only read: TimeGPT asked on a local server beside the free forecasters.

Belongs here: making it once for all processes of a test run, and opening it as a notebook does.
"""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

import timegpt_assets as ta
from timegpt_assets.serving.house import House
from timegpt_assets_tests.roads import TINY

URL = "http://127.0.0.1:9"
"""Stands for the server's address once it is gone: reading asks nobody."""

READ = [date(2025, 1, 28), date(2025, 1, 29), date(2025, 1, 30), date(2025, 1, 31)]
"""Its days: nothing is asked on the second, that of a rate decision."""


@dataclass(frozen=True)
class ReadHouse:
    """The folder of the finished house, and its settings as ``timegpt_assets.open`` takes them."""

    folder: Path
    profile: str = "dev"

    @property
    def root(self) -> Path:
        """Return where its tables lie."""
        return self.folder / "data" / "dev"

    def settings(self, root: Path | None = None) -> dict[str, Any]:
        """Return the settings; ``root`` is another folder of tables."""
        from timegpt_assets_tests.engine.test_call_budget import modest

        said = dict(text.partition("=")[::2] for text in (*TINY, *modest(URL)))
        places = {
            "data.storage_root": str(root or self.root),
            "data.dagster_home": str((root or self.root).parent / "home"),
            "data.artifacts_root": str(self.folder / "artifacts"),
            "forecast.cache_dir": str(self.folder / "artifacts" / "forecast_cache"),
            "forecast.api_budget.ledger_file": str(self.folder / "artifacts" / "call_ledger.sqlite"),
        }
        return {key: yaml.safe_load(value) for key, value in said.items()} | places

    def open(self, root: Path | None = None) -> House:
        """Open it, or other tables under the same settings."""
        return ta.open(self.profile, settings=self.settings(root))


def made(folder: Path) -> ReadHouse:
    """Return the house in a folder, made by whoever comes first."""
    from timegpt_assets_tests.engine.test_call_budget import house
    from timegpt_assets_tests.servers.timegpt import TimeGPTServer

    with FileLock(folder / "read_house.lock"):
        if not (folder / "read_house.done").exists():
            with TimeGPTServer(input_size=60) as server, house(folder / "house", server) as built:
                built.run(READ)
            (folder / "read_house.done").touch()
    return ReadHouse(folder / "house")


def shared(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all processes of a test run have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
