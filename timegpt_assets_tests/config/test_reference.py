"""Every key of every file is commented, and the reference knows default, type and meaning of each."""

from pathlib import Path

import pytest

from timegpt_assets.config.layers import flat
from timegpt_assets.config.reference import comments, entries
from timegpt_assets.config.schema import SECTIONS
from timegpt_assets.config.shipped import CONFIGS
from timegpt_assets.config.yaml_text import plain_value

FILES = sorted(CONFIGS.rglob("*.yaml"))


def test_one_file_is_one_section_or_a_grid_that_is_read_by_name() -> None:
    grids = {"forecast_grid", "forecast_grid_wide"}
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == {*SECTIONS, *grids}
    assert {file.stem for file in (CONFIGS / "profiles").glob("*.yaml")} == {"demo", "dev", "offline", "prod"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_key_is_commented(file: Path) -> None:
    text = file.read_text()
    said, keys = comments(text), [path for path, _ in flat({"": plain_value(text)})]
    assert keys
    assert [path for path in keys if len(said.get(path[1:], "")) < 5] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_lines_fit_the_page(file: Path) -> None:
    assert [line for line in file.read_text().splitlines() if len(line) > 120] == []


def test_every_entry_says_what_is_allowed_and_what_it_means() -> None:
    found = {entry.key: entry for entry in entries(CONFIGS)}
    assert len(found) > 180
    assert [key for key, entry in found.items() if not entry.description or entry.allowed == "null"] == []
    horizon = found["forecast.horizon_min"]
    assert (horizon.default, horizon.allowed, horizon.place) == ("15", "whole number >= 1", False)
    assert found["trading.fees_bps.default"].aliases == ("fee_bps",)
    assert found["data.storage_root"].place
    assert found["forecast.api_budget.per_run"].place
    assert found["calibration.method"].allowed == "none | affine | isotonic | conformal | widen | adaptive"


def test_comments_are_found_beside_and_above() -> None:
    text = "# head\n\n# a says\n# more\na: 1\nb:  # b says\n  c: '#no'  # c says\n  d: 2\n"
    assert comments(text) == {("a",): "a says more", ("b",): "b says", ("b", "c"): "c says", ("b", "d"): ""}
