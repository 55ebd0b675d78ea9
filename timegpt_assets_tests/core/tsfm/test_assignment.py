"""A share of markets is the same every day, a larger one holds it, and every row says which band is used."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.tsfm import assignment
from timegpt_assets_tests.core.tsfm.band_rows import band, bands

NAMES = [f"0x{hashlib.sha256(str(i).encode()).hexdigest()[:16]}" for i in range(400)]
OWN = next(name for name in NAMES if assignment.is_assigned(name, 10))
OTHER = next(name for name in NAMES if not assignment.is_assigned(name, 50))
RAW = {"raw_lower": 0.1, "raw_median": 0.2, "raw_upper": 0.3}
BASE = {"baseline_lower": 0.7, "baseline_median": 0.8, "baseline_upper": 0.9}
NO_PARAMETERS = {"adjusted_lower": None, "adjusted_median": None, "adjusted_upper": None}


@given(st.text(min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_a_larger_share_holds_every_market_of_a_smaller_one(name: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert assignment.is_assigned(name, low) <= assignment.is_assigned(name, high)
    assert not assignment.is_assigned(name, 0)
    assert assignment.is_assigned(name, 100)


def test_a_market_s_place_is_that_of_every_day_and_machine() -> None:
    # what it was when rollouts began: another hash would move markets between bands
    assert assignment.assigned(NAMES[:60], 10) == sorted(n for n in NAMES[:60] if _place(n) < 10)


def _place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"tsfm {name}".encode()).digest()[:8], "big") % 100


def test_ten_percent_is_about_a_tenth() -> None:
    assert 25 <= len(assignment.assigned(NAMES, 10)) <= 55


def test_markets_of_the_share_get_the_source_and_every_other_one_the_baseline() -> None:
    rows = bands(band(OWN, **RAW, **BASE), band(OTHER, **RAW, **BASE))
    for source, lower in (("tsfm_conformal", 0.4), ("tsfm_raw", 0.1), ("baseline", 0.7)):
        found = {row["market_id"]: row for row in assignment.used(rows, 10, source).iter_rows(named=True)}
        assert (found[OWN]["band_source"], found[OWN]["lower"]) == (source, lower)
        assert (found[OTHER]["band_source"], found[OTHER]["lower"], found[OTHER]["upper"]) == ("baseline", 0.7, 0.9)


def test_in_shadow_and_in_full_all_have_the_same() -> None:
    rows = bands(*(band(name) for name in NAMES[:50]))
    assert set(assignment.used(rows, 0, "tsfm_raw")["band_source"]) == {"baseline"}
    assert set(assignment.used(rows, 100, "tsfm_raw")["band_source"]) == {"tsfm_raw"}


def test_a_share_may_change_from_one_cycle_to_the_next() -> None:
    rows = bands(band(OWN, minutes=0, **RAW, **BASE), band(OWN, minutes=5, **RAW, **BASE))
    before, after = rows["as_of"].sort()
    found = assignment.used(rows, {before: 10, after: 0}, "tsfm_raw").sort("as_of")
    assert found["band_source"].to_list() == ["tsfm_raw", "baseline"]


def test_of_no_band_none_is_used() -> None:
    for share in (10, {}):
        assert assignment.used(bands(band(OWN)).clear(), share, "tsfm_raw").is_empty()


def test_raw_stands_where_nothing_was_there_to_adjust_by_and_says_so() -> None:
    found = assignment.used(bands(band(OWN, **RAW, **NO_PARAMETERS)), 100, "tsfm_conformal").row(0, named=True)
    assert (found["band_source"], found["lower"], found["upper"]) == ("tsfm_raw", 0.1, 0.3)
