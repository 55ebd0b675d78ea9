"""A record's id stands for all it says, and leads back to what it was made from."""

from dataclasses import replace
from typing import Any

import pytest

from timegpt_assets.core.lineage import Lineage, path_to_bars, without_code

NAMES = ("asset", "profile", "code_version", "config_digest", "data_version", "feature_payload_schema_version",
         "feature_version", "features_hash", "model_name", "model_version")  # fmt: skip


def record(asset: str, *, parents: dict[str, str] | None = None, **changes: str) -> Lineage:
    values: dict[str, Any] = dict.fromkeys(NAMES, "x") | {"asset": asset} | changes
    return Lineage(**values, parents=parents or {})


BARS = record("bars")
FEATURES = record("features", parents={"bars": BARS.lineage_id})
FORECASTS = record("forecasts", parents={"bars": BARS.lineage_id, "features": FEATURES.lineage_id})
RECORDS = {one.lineage_id: one for one in (BARS, FEATURES, FORECASTS)}


def test_an_id_is_sixteen_hex_digits_and_the_same_for_ever() -> None:
    assert BARS.lineage_id == "a360f6a6c47b4d38"
    assert BARS.as_json() == (
        '{"asset":"bars","code_version":"x","config_digest":"x","data_version":"x",'
        '"feature_payload_schema_version":"x","feature_version":"x","features_hash":"x",'
        '"model_name":"x","model_version":"x","parents":{},"profile":"x"}'
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_field_changes_the_id(name: str) -> None:
    assert replace(BARS, **{name: "y"}).lineage_id != BARS.lineage_id  # type: ignore[arg-type]
    assert replace(BARS, parents={"x": "y"}).lineage_id != BARS.lineage_id


def test_a_path_leads_to_the_bars_nearest_first_and_each_once() -> None:
    assert path_to_bars(RECORDS, FORECASTS.lineage_id) == [FORECASTS, BARS, FEATURES]
    with pytest.raises(KeyError):
        path_to_bars({FORECASTS.lineage_id: FORECASTS}, FORECASTS.lineage_id)


def test_records_that_differ_in_code_alone_at_any_depth_stand_for_the_same() -> None:
    bars = replace(BARS, code_version="z")
    features = replace(FEATURES, code_version="z", parents={"bars": bars.lineage_id})
    moved = RECORDS | {one.lineage_id: one for one in (bars, features)}
    assert features.lineage_id != FEATURES.lineage_id
    assert without_code(moved, features.lineage_id) == without_code(moved, FEATURES.lineage_id)
    other = replace(FEATURES, config_digest="z")
    assert without_code(moved | {other.lineage_id: other}, other.lineage_id) != without_code(moved, features.lineage_id)


def test_a_person_reads_the_contract_and_where_it_comes_from() -> None:
    assert set(BARS.contract()) == {*NAMES, "data_source", "parents"} - {"asset", "data_version"}
    assert BARS.contract()["parents"] == "the source"
    assert FORECASTS.contract()["parents"] == f"bars {BARS.lineage_id}, features {FEATURES.lineage_id}"
