"""What is remembered beside a cache key: enough to tell what was asked without the frame it was made of."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.core.forecasts.quantiles import bands, held_quantiles, quantile_name
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

LISTED = ("symbols", "start_ts", "end_ts", "snapshot_ts", "freq", "horizon_min", "quantiles", "features_hash", "model")
"""What the seeds name as the parts of a cache key; the key is of the body, and these stand beside it."""


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(key=KEY, input_size=20, horizon=30) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BudgetLedger]:
    def clock() -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC)

    if request.param == "sqlite":
        yield BudgetLedger(f"sqlite:///{tmp_path / 'books.db'}", clock=clock)
        return
    if not postgres.is_there():
        pytest.skip(f"no PostgreSQL at {postgres.URL}")
    with postgres.schema() as url:
        made = BudgetLedger(url, clock=clock)
        yield made
        made.store.close()


def recorded(server: TimeGPTServer, folder: Path, ledger: BudgetLedger) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the ledger and the cache remember of one paid snapshot."""
    paying = timegpt(server.url, folder, ledger=ledger)
    key = paying.answers([frame(14, rows=300)], budget_run_id="run").rows["request_hash"][0]
    (noted,) = (record for request_hash, record in ledger.all_records().values() if request_hash == key)
    stored = paying.cache.read(server.host, key)
    assert stored is not None
    return noted, dict(stored.record)


def test_ledger_and_cache_tell_what_was_sent(server: TimeGPTServer, ledger: BudgetLedger, tmp_path: Path) -> None:
    noted, stored = recorded(server, tmp_path, ledger)
    (body,) = server.bodies()
    for record in (noted, stored):
        told = {name: record[name] for name in LISTED}
        first = datetime.fromisoformat(told.pop("start_ts"))
        assert [first.strftime("%Y-%m-%dT%H:%M")] * 3 == body["series"]["start_datetime"]
        assert told == {
            "symbols": ["AAPL", "MSFT", "NVDA"],
            "end_ts": "2024-07-01T14:00:00+00:00",
            "snapshot_ts": "2024-07-01T14:00:00+00:00",
            "freq": body["freq"],
            "horizon_min": body["h"],
            "quantiles": [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975],
            "features_hash": "0123456789ab",
            "model": "timegpt-1",
        }


@pytest.mark.parametrize("levels", [(), (50,), (1, 20, 50, 80, 95, 99)])
def test_the_quantiles_told_are_those_of_the_columns_that_the_answer_makes(levels: tuple[int, ...]) -> None:
    columns = {"q50", *(name for pair in bands(levels).values() for name in pair)}
    assert [quantile_name(q) for q in held_quantiles(levels)] == sorted(
        columns, key=lambda name: float(f"0.{name[1:]}")
    )
