"""A manifest says all that it must, in one way only, and nothing that it must not."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.models.manifests import (
    FIELDS,
    OF_KIND,
    REPORT,
    ManifestError,
    artifact_name,
    canonical,
    faults,
    parsed,
    place_fault,
    sha256,
)
from timegpt_assets.core.tables.columns import LADDER
from timegpt_assets_tests.adapters.models.artifacts import MONTH, OWN, UNDER, made

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
WRITABLE = VALUES.filter(lambda value: "\\ud" not in json.dumps(value))
"""All that JSON holds, but halves of letters, which UTF-8 has no bytes for."""


@given(WRITABLE)
def test_canonical_json_comes_back_as_it_was_and_is_the_only_text_of_it(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text
    assert json.loads(text) == value
    assert not isinstance(value, dict) or parsed(text) == value


def test_canonical_json_has_sorted_keys_no_blanks_utf_8_and_the_shortest_floats() -> None:
    assert canonical({"b": [0.1, 1e-7, 3], "a": "größe"}) == '{"a":"größe","b":[0.1,1e-07,3]}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32(1.5), {1, 2}, b"x", "\ud800", {("a", "b"): 1}])
def test_what_is_no_json_is_refused_with_what_to_write_instead(value: Any) -> None:
    with pytest.raises(ManifestError, match=r"cannot stand in a manifest\. Give null for a number"):
        canonical({"x": value})


@pytest.mark.parametrize(
    "text", [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":NaN}', b"[]", b"\xff", b'{"a":1}\n', b"[" * 99_999]
)
def test_a_text_that_is_not_the_canonical_one_is_no_manifest(text: bytes) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize("forecaster", LADDER)
def test_a_whole_manifest_has_every_field_the_digest_of_every_file_and_no_fault(forecaster: str) -> None:
    artifact = made(forecaster)
    assert artifact.manifest.keys() == FIELDS.keys() | OF_KIND[forecaster].keys()
    assert artifact.manifest["files"] == {name: sha256(data) for name, data in artifact.files.items()}
    assert artifact.manifest["train_report_hash"] == sha256(artifact.files[REPORT])
    assert faults(artifact.manifest, name=artifact.manifest["name"], month=MONTH, expected=UNDER) == []
    assert artifact.digest == sha256(canonical(artifact.manifest))
    assert made(forecaster, seed=8).digest != artifact.digest


FIELD = [(kind, field) for kind in LADDER for field in (*FIELDS, *OF_KIND[kind])]


@pytest.mark.parametrize(("kind", "field"), FIELD)
def test_a_field_that_is_missing_or_of_another_kind_of_value_is_named(kind: str, field: str) -> None:
    manifest = dict(made(kind).manifest)
    for wrong, said in (({}, "is missing|is None"), ({field: True}, "is True")):
        broken = {key: value for key, value in manifest.items() if key != field} | wrong
        found = faults(broken, name=manifest["name"], month=MONTH, expected=UNDER)
        assert len(found) == 1
        assert f"field {field} " in found[0]
        assert any(part in found[0] for part in said.split("|"))


Change = Callable[[dict[str, Any]], dict[str, Any]]
SAID: dict[str, tuple[str, Change, str]] = {
    "an unknown field": ("lightgbm", lambda m: {"policy": "tabular_only"}, "field policy is unknown"),
    "another name": ("lightgbm", lambda m: {"name": "liquid_dev_lgbm_baseline_v2"}, "says name 'liquid_dev"),
    "another month": ("lightgbm", lambda m: {"month": "2025-02"}, "says month '2025-02', and lies under '2025-03'"),
    "another version": ("lightgbm", lambda m: {"version": 1}, "says version 1"),
    "another kind": ("lightgbm", lambda m: {"kind": "forest"}, "kind is 'forest', and must be one of lightgbm"),
    "learnt in its month": (
        "lightgbm",
        lambda m: {"training_range": {"first_day": "2025-01-02", "last_day": "2025-03-03"}},
        "training_range 2025-01-02 to 2025-03-03 is no range of days before 2025-03",
    ),
    "no days": ("lightgbm", lambda m: {"training_range": {"first_day": "2025-13-02"}}, "training_range 2025-13-02"),
    "learnt from nothing": ("lightgbm", lambda m: {"rows": 0}, "learnt from nothing"),
    "another report": ("lightgbm", lambda m: {"train_report_hash": "0" * 64}, "train_report_hash is not the sha256"),
    "a file elsewhere": ("lightgbm", lambda m: {"files": m["files"] | {"../x": "0" * 64}}, "'../x' is no name"),
    "a file below": ("lightgbm", lambda m: {"files": m["files"] | {"a/b": "0" * 64}}, "'a/b' is no name"),
    "itself": ("lightgbm", lambda m: {"files": m["files"] | {"manifest.json": "0" * 64}}, "'manifest.json' is no name"),
    "no sha256": ("lightgbm", lambda m: {"files": m["files"] | {"a": "00"}}, "the sha256 of a is '00'"),
    "another net": ("tsmixer", lambda m: {"type": "lstm"}, "type is 'lstm', and must be tsmixer_liquid"),
    "parts of nothing": ("blend", lambda m: {"parts": {"lightgbm": "latest"}}, "parts are no digests"),
}


@pytest.mark.parametrize("said", SAID)
def test_what_a_manifest_says_wrong_is_named(said: str) -> None:
    kind, change, words = SAID[said]
    manifest = dict(made(kind).manifest)
    found = faults(manifest | change(manifest), name=manifest["name"], month=MONTH)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "field", ["feature_version", "features_hash", "feature_payload_schema_version", "label_definition"]
)
def test_what_was_made_under_other_features_schema_or_label_is_named_with_both(field: str) -> None:
    manifest = made().manifest
    found = faults(manifest, name=manifest["name"], month=MONTH, expected=replace(UNDER, **{field: "other"}))
    assert found == [f"{field} is {manifest[field]!r}, and 'other' is in use"]


def test_an_artifact_that_lacks_a_field_or_holds_no_number_is_not_made() -> None:
    with pytest.raises(ManifestError, match=r"field n_tokens is missing"):
        made("tsmixer", own={"type": "tsmixer_liquid"})
    with pytest.raises(ManifestError, match=r"cannot stand in a manifest"):
        made("tsmixer", own={**OWN["tsmixer"], "ensemble_alpha": math.nan})


def test_names_say_universe_and_kind() -> None:
    names = ["liquid_prod_lgbm_baseline_v2", "liquid_prod_tsmixer_v2", "liquid_prod_blend_v2"]
    assert [artifact_name(word, "prod") for word in LADDER] == names
    assert artifact_name("blend", "../Mag 7") == "liquid__mag_7_blend_v2"


@pytest.mark.parametrize(
    ("name", "month", "digest", "said"),
    [
        ("..", MONTH, "0" * 64, "'..' is no name of an artifact"),
        ("a/b", MONTH, "0" * 64, "no name"),
        ("liquid", "2025-13", "0" * 64, "no month"),
        ("liquid", "../..", "0" * 64, "no month"),
        ("liquid", MONTH, "latest", "no digest"),
        ("liquid", MONTH, "0" * 64 + "\n", "no digest"),
    ],
)
def test_words_that_could_lead_elsewhere_are_named(name: str, month: str, digest: str, said: str) -> None:
    assert said in (place_fault(name, month, digest) or "")
