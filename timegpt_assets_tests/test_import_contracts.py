"""The import contracts, each turned red by one line that breaks it: a contract that cannot fail keeps nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import timegpt_assets

PACKAGE = Path(timegpt_assets.__file__).parent
PLANTED = {
    "the core is pure": ("core/targets.py", "import pandas"),
    "imports point inward": ("config/base.py", "import timegpt_assets.adapters.call_errors"),
    "nixtla and pandas have one door": ("reports/page.py", "import nixtla"),
    "statsforecast has one door": ("core/forecasts/local/zero.py", "import statsforecast"),
    "lightgbm has one door, and torch one for each net": ("core/models/blend.py", "import torch"),
    "fracast has one door": ("adapters/tollama/runner.py", "import fracast"),
    "cryptography has one door": ("adapters/models/registry.py", "import cryptography"),
    "pyahocorasick has one door": ("core/news/link.py", "import ahocorasick"),
    "cleanco has one door": ("core/news/link.py", "import cleanco"),
    "prometheus-client has two doors": ("cli/metrics.py", "import prometheus_client"),
    "fastapi has one door and structlog two": ("cli/metrics.py", "import fastapi"),
    "rapidfuzz has one door": ("core/news/cluster.py", "import rapidfuzz"),
    "no rule, size or gate knows the language model": (
        "core/features/events.py",
        "import timegpt_assets.core.news.extracted",
    ),  # by way of features, whom forecasts know
    "the runtime does not know Dagster": ("adapters/storage/ranged.py", "import dagster"),
    "what serves does not know Dagster": ("serving/__init__.py", "import timegpt_assets.partitions"),
    "stages of the core point one way": ("core/bars/rows.py", "import timegpt_assets.core.features.matrix"),
}


def lint(folder: Path) -> str:
    """Return what lint-imports says of the package in a folder."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", folder / "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package and its contracts."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE.parent / "pyproject.toml", folder)
    return folder


def test_every_contract_is_kept_and_has_a_planted_violation(copy: Path) -> None:
    said = lint(copy)
    kept = {line.split(" KEPT")[0] for line in said.splitlines() if " KEPT" in line}
    assert kept == PLANTED.keys(), said


@pytest.mark.parametrize("contract", PLANTED)
def test_a_line_that_breaks_a_contract_turns_it_red(copy: Path, contract: str) -> None:
    name, line = PLANTED[contract]
    file = copy / PACKAGE.name / name
    before = file.read_text()
    file.write_text(f"{before}\n{line}\n")
    try:
        assert f"{contract} BROKEN" in lint(copy)
    finally:
        file.write_text(before)
