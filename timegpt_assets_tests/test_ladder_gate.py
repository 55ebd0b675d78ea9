"""The ladder's criteria on the road: forecast_gate and promotion ask them where a rung is seated, and only there."""

from datetime import date

import polars as pl
import pytest

from timegpt_assets.assets.declare import Span
from timegpt_assets.assets.gates import FORECAST_TABLES, forecast_gate, of_forecasts
from timegpt_assets.assets.promotion import promotion
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.tables.evaluation import COMPARISON, FORECAST_DIAGNOSTICS, INTERVAL_WIDTHS
from timegpt_assets.core.tables.models import MODEL_REPORT
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets_tests.core.gates import made

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # the partition mappings are in beta
SPAN = Span(month=made.MONTH["month"], as_of=made.MONTH["as_of"], sessions=(date(2025, 2, 28),))
EMPTY = dict(zip(FORECAST_TABLES, (FORECAST_DIAGNOSTICS, COMPARISON, INTERVAL_WIDTHS), strict=True))


def house(*challengers: str) -> GraphContext:
    said = (f"forecast.challengers=[{','.join(challengers)}]", "gates.include_sources=[prod]")
    return graph_context(load_settings(profile="demo", config_dir=None, overrides=said, environment={}))


def rows(graph: GraphContext, report: pl.DataFrame) -> pl.DataFrame:
    """Return the ladder's rows of the month's verdict on forecasts; of nothing else anything was measured."""
    tables = {name: table.empty() for name, table in EMPTY.items()} | {"model_report": report}
    return of_forecasts(graph)(SPAN, tables).filter(pl.col("criterion").str.contains("ladder|_over_"))


def test_who_is_seated_of_the_ladder_is_asked_for_it_and_by_the_rows_of_the_month() -> None:
    graph = house("lightgbm", "tsmixer", "blend")
    asked = rows(graph, made.ladder_report())
    assert set(asked["forecaster"]) == {"lightgbm", "tsmixer", "blend"}
    passed = asked.filter("passed")
    assert set(passed["forecaster"]) == {"blend"}, "the report has rows of no other"
    assert passed.height == 7
    earlier = made.ladder_report().with_columns(month=pl.lit("2025-01"))
    assert not rows(graph, earlier)["passed"].any()


def test_where_no_rung_is_seated_the_gates_read_no_report_and_ask_nothing() -> None:
    assert rows(house("zero"), MODEL_REPORT.empty()).is_empty()
    for challengers, reads in ((("zero",), False), (("lightgbm",), True)):
        graph = house(*challengers)
        for asset in (forecast_gate(graph), promotion(graph)):
            assert ("model_report" in {key.path[-1] for key in asset.keys_by_input_name.values()}) is reads
