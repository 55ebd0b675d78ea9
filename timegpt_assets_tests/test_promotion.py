"""Who may promote: the asset itself, in each profile, over gates of which every row passed."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.assets import gates
from timegpt_assets.config.settings import PROFILES
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.roads import load_runtime
from timegpt_assets_tests.secret_search import KEY


def passed(gate: str, forecaster: str) -> pl.DataFrame:
    """Return a gate's rows of January 2025, all passed: what somebody could write into a table file."""
    row = {"month": "2025-01", "as_of": date(2025, 1, 31), "gate": gate, "criterion": "coverage", "symbol": "*"}
    row |= {"forecaster": forecaster}
    row |= {"value": 1.0, "threshold": 1.0, "n": 100, "passed": True, "reason": "1 of 1"}
    columns = {name: [row.get(name)] for name in GATES.columns}
    return pl.DataFrame(columns, schema={name: column.dtype for name, column in GATES.columns.items()})


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("profile", PROFILES)
def test_only_prod_promotes_whatever_the_gates_say(tmp_path: Path, profile: str) -> None:
    settings = load_runtime(tmp_path, profile=profile, base=(), environment={"TIMEGPT_API_KEY": KEY}).settings
    asset = gates.promotion(graph_context(settings))
    context = dg.build_asset_context(partition_key="2025-01-01")
    frame = asset(
        context, **{gate: passed(gate, settings.forecast.champion) for gate in ("forecast_gate", "trading_gate")}
    )
    assert frame["passed"].to_list() == [profile == "prod"]
    assert (f"profile {profile} promotes nothing; evaluate in prod" in frame["reason"].item()) == (profile != "prod")
