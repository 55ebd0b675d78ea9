"""A table refuses frames that differ from its declaration, and says in which way."""

import polars as pl
import pytest

from timegpt_assets.core.schema import Column, Table, TableError

TABLE = Table(
    name="made",
    columns={
        "symbol": Column(pl.String, "ticker"),
        "price": Column(pl.Float64, "in USD"),
        "note": Column(pl.String, "in words", nullable=True),
    },
    key=("symbol",),
    rules={"positive": pl.col("price") > 0},
)


def frame(*rows: tuple[str | None, float | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLE.schema, orient="row")


def test_a_good_frame_comes_back_in_declared_order_sorted_by_key() -> None:
    found = TABLE.conformed(frame(("B", 2.0, None), ("A", 1.0, "x")).select("note", "price", "symbol"))
    assert found.rows() == [("A", 1.0, "x"), ("B", 2.0, None)]
    assert TABLE.empty().schema == TABLE.schema


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ([("A", 1.0, None), ("B", 1.0, None)], {}),
        ([], {}),
        ([("A", 1.0, None), ("A", 2.0, None)], {"unique_key": 2}),
        ([(None, 1.0, None)], {"symbol_not_null": 1}),
        ([("A", None, None)], {"price_not_null": 1, "positive": 1}),
        ([("A", float("nan"), None), ("B", float("inf"), None)], {"price_finite": 2}),
        ([("A", 0.0, None), ("B", -1.0, None), ("C", 1.0, None)], {"positive": 2}),
    ],
)
def test_rules_are_broken_by_so_many_rows(
    rows: list[tuple[str | None, float | None, str | None]], broken: dict[str, int]
) -> None:
    assert TABLE.broken_rules(frame(*rows)) == broken
    if broken:
        with pytest.raises(TableError, match=f"table made: rule {next(iter(broken))} broken by"):
            TABLE.conformed(frame(*rows))


def test_missing_and_mistyped_columns_are_named_before_any_rule() -> None:
    wrong = frame(("A", -1.0, None)).drop("note").with_columns(pl.col("price").cast(pl.Float32))
    assert TABLE.errors(wrong) == ["column price is Float32, declared Float64", "column note is missing"]


def test_only_an_open_table_keeps_further_columns_behind_its_own() -> None:
    wider = frame(("A", 1.0, None)).select(further=pl.lit(7), symbol="symbol", price="price", note="note")
    assert TABLE.conformed(wider).columns == ["symbol", "price", "note"]
    wide = Table(name="open", columns=TABLE.columns, key=TABLE.key, open=True)
    assert wide.conformed(wider).columns == ["symbol", "price", "note", "further"]
