"""The wheel: what is in it, and that it works from its own files in a folder of its user's."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from timegpt_assets_tests.project import PROJECT

SOURCES = ("timegpt_assets", "configs")
EVERYBODY_S = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
"""A Python that is not in somebody's home; libraries are taken from ours."""
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "dagster.yaml", "workspace.yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that is built of a copy: what an earlier build left beside the sources must not get in."""
    copy, to = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "timegpt_assets_tests").mkdir()  # not whole: keys of tests stand in it
    (copy / "timegpt_assets_tests" / "__init__.py").touch()
    for name in FILES:
        shutil.copy(PROJECT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", to, copy]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = to.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder, with a blank and a letter beyond ASCII in its name, into which the wheel is unpacked."""
    site = tmp_path_factory.mktemp("inställd here")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of the unpacked wheel in a folder, with nothing of this process's environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "timegpt_assets.cli.app", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder of the user's."""
    mine = tmp_path / "mein Ordner ü"
    mine.mkdir()
    return mine


def test_the_wheel_holds_the_package_its_settings_and_dagster_s_files_and_no_test(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in held if ".dist-info/" not in name}
    beside = [
        *PROJECT.glob("configs/**/*.yaml"),
        *PROJECT.glob("configs/*.csv"),
        PROJECT / "dagster.yaml",
        PROJECT / "workspace.yaml",
    ]
    shipped = {f"timegpt_assets/shipped/{file.relative_to(PROJECT)}" for file in beside}
    files = (file for file in (PROJECT / "timegpt_assets").rglob("*") if file.is_file())
    package = {str(file.relative_to(PROJECT)) for file in files if "__pycache__" not in file.parts}
    assert inside == shipped | package


def test_in_any_folder_its_own_settings_stand_over_the_shipped_ones_and_places_are_below_it(installed, folder) -> None:
    (folder / "configs" / "profiles").mkdir(parents=True)
    (folder / "configs" / "profiles" / "dev.yaml").write_text("forecast: {history_days: 3}\n")
    (folder / ".env").write_text("TIMEGPT_ASSETS_PROFILE=dev\n")
    done = run(installed, folder, "config", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    own = str(folder / "configs" / "profiles" / "dev.yaml")
    assert found["forecast.history_days"] == {"value": 3, "origin": own}
    assert found["gates.bootstrap"] == {"value": "trade", "origin": "configs/profiles/dev.yaml"}
    script = (
        "from timegpt_assets.runtime import load_runtime; from timegpt_assets.config import shipped; "
        "print(load_runtime().path('data')); print(shipped.WORKSPACE.is_file(), shipped.DAGSTER_YAML.is_file())"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [str(folder / "data"), "True True"]


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Return a folder that everybody may enter: pytest closes its own whenever another run begins."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.mark.whole
@pytest.mark.skipif(os.geteuid() != 0 or not EVERYBODY_S.exists(), reason="takes root, and a Python for everybody")
def test_nobody_runs_it_from_an_install_that_nobody_may_write(wheel: Path, open_place: Path) -> None:
    site, folder = open_place / "inställd here", open_place / "mein Ordner ü"
    zipfile.ZipFile(wheel).extractall(site)
    for place in (site, *site.rglob("*")):
        place.chmod(0o555 if place.is_dir() else 0o444)
    folder.mkdir()
    shutil.chown(folder, "nobody")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join([str(site), sysconfig.get_path("purelib")])
    day = ["--start", "2025-01-16", "--end", "2025-01-16"]
    command = [EVERYBODY_S, "-m", "timegpt_assets.cli.app", "check-data", "--profile", "demo", *day, "--json"]
    who = {"user": "nobody", "extra_groups": ()}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, **who)
    assert done.returncode == 0, done.stderr
    assert (folder / "data" / "demo" / "bars").is_dir()
    assert (folder / ".dagster" / "demo").is_dir()
