"""The contract: one schema, one set of features, one model on every live session, those of today, asked as wanted."""

from dataclasses import replace

import polars as pl
import pytest

from timegpt_assets.core.gates.contract import FIELDS
from timegpt_assets_tests.core.gates.made import CONTRACT, HOLDS, contract_rows, failures, sessions

DAYS = sessions(60)


def test_one_contract_throughout_passes() -> None:
    frame = contract_rows()
    assert failures(frame) == set()
    assert frame["criterion"].to_list() == sorted(["backend", *FIELDS])
    assert set(frame.filter(pl.col("criterion") != "backend")["n"]) == {60}


@pytest.mark.parametrize("field", FIELDS)
def test_one_session_under_another_contract_is_one_too_many_and_named(field: str) -> None:
    frame = contract_rows({DAYS[3]: {field: "older"}, DAYS[9]: {field: "oldest"}})
    assert failures(frame) == {("contract", "*", field)}
    row = frame.filter(criterion=field).row(0, named=True)
    assert (row["value"], row["threshold"]) == (2.0, 0.0)
    assert row["reason"] == f"{HOLDS[field]} holds, but older, oldest on 2 sessions, last on {DAYS[9]}"


def test_what_holds_now_counts_and_not_what_most_were_asked_under() -> None:
    frame = contract_rows({day: {"model_version": "newer"} for day in DAYS})
    assert failures(frame) == {("contract", "*", "model_version")}
    newer = replace(CONTRACT, holds={**HOLDS, "model_version": "newer"})
    assert failures(contract_rows({day: {"model_version": "newer"} for day in DAYS}, asked=newer)) == set()


def test_without_a_live_session_nothing_is_held() -> None:
    frame = contract_rows(days=[]).filter(pl.col("criterion") != "backend")
    assert not frame["passed"].any()
    assert set(frame["reason"]) == {"insufficient_observation: no live forecast in the window"}


@pytest.mark.parametrize(("wanted", "passed"), [("nixtla", False), ("baseline", True), (None, True)])
def test_the_champion_is_asked_as_wanted(wanted: str | None, passed: bool) -> None:
    frame = contract_rows(asked=replace(CONTRACT, backend="baseline", asked_backend=wanted))
    assert failures(frame) == (set() if passed else {("contract", "*", "backend")})
    row = frame.filter(criterion="backend").row(0, named=True)
    assert (row["value"], row["threshold"], row["n"]) == (float(passed), 1.0, 1)
    assert row["reason"].startswith(f"the champion is asked by baseline, {wanted or 'any'} is wanted")
