"""The values in which the room's questions are answered."""

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Finding, Table, share


@pytest.mark.parametrize(
    ("mask", "part"), [([], 0.0), ([True], 1.0), ([False], 0.0), ([True, False, None, None], 0.25)]
)
def test_the_share_of_a_mask_counts_all_its_rows(mask: list[bool | None], part: float) -> None:
    assert share(pl.Series(mask, dtype=pl.Boolean)) == part


def test_a_finding_is_one_sentence_and_a_table_is_called_as_its_file() -> None:
    assert str(Finding("zone", "UTC", "as said")) == "zone: UTC; as said"
    assert Table(path=("vendor", "AAPL.csv"), header=None, cells=pl.DataFrame()).name == "AAPL.csv"
