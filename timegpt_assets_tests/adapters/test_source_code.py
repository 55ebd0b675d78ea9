"""Which code a lineage id stands for: all that makes numbers, in whatever room it lies, and nothing else."""

import shutil
from pathlib import Path

import pytest

import timegpt_assets
from timegpt_assets.adapters.source_code import digest, files

PACKAGE = Path(timegpt_assets.__file__).parent
MAKES_NONE = ("cli", "engine", "automation", "serving", "reports", "checks.py", "definitions.py", "event_storage.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=ignored)


def named(package: Path) -> set[str]:
    return {path.relative_to(package).as_posix() for path in files(package)}


def test_every_stage_and_every_adapter_behind_it_is_in_and_what_shows_or_plans_is_not() -> None:
    found = named(PACKAGE)
    assert not [name for name in found if name.startswith(MAKES_NONE)]
    rooms = {name.rpartition("/")[0] for name in found}
    stages = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("core/*/*.py")}
    assert stages <= rooms
    understood = {name for name in found if name.startswith("core/vendors/")}
    assert understood == {"core/vendors/findings.py"}, "what import-bars understands makes the source, and no row of it"
    assert {"adapters/timegpt", "adapters/market", "adapters/storage", "config", "assets"} <= rooms
    assert {"adapters/timegpt/forecaster.py", "adapters/market/bucket_market.py"} <= found, "imported in a function"


def test_a_new_room_that_an_asset_stands_on_cannot_be_left_out(copy: Path) -> None:
    before = digest(copy)
    room = copy / "newroom"
    room.mkdir()
    (room / "numbers.py").write_text("SHARE = 0.5\n")
    assert digest(copy) == before, "nobody imports it"
    with (copy / "core" / "bars" / "rows.py").open("a") as file:
        file.write(
            "\n\ndef share():\n    from timegpt_assets.newroom import (\n        numbers,\n    )\n    return numbers\n"
        )
    imported = digest(copy)
    assert imported != before
    (room / "numbers.py").write_text("SHARE = 0.6\n")
    assert digest(copy) != imported


@pytest.mark.parametrize("name", ["cli/app.py", "engine/engine.py", "reports/page.py", "assets/previews.py"])
def test_what_makes_no_number_changes_no_id(copy: Path, name: str) -> None:
    before = digest(copy)
    with (copy / name).open("a") as file:
        file.write("\nCHANGED = True\n")
    assert digest(copy) == before


@pytest.mark.parametrize("name", ["core/targets.py", "core/forecasts/framing.py", "adapters/timegpt/sdk.py"])
def test_what_makes_numbers_changes_the_id(copy: Path, name: str) -> None:
    before = digest(copy)
    with (copy / name).open("a") as file:
        file.write("\nCHANGED = True\n")
    assert digest(copy) != before
