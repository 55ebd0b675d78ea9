"""What an earlier version of the code paid for is read by today's, and nothing is sent for it.

Guards against every change of a key: of a request's bytes, of the digest of settings, of the ledger's or the cache's
columns and names. Whoever changes one on purpose reads the old one too.
"""

import shutil
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.runtime import ledger
from timegpt_assets_tests.engine.test_call_budget import FIVE, OPTIONS, Clock, modest
from timegpt_assets_tests.roads import TINY, Road, road
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

FIXTURE = Path(__file__).parents[2] / "fixtures" / "paid_before_rooms"
PORT = 27183
"""The port whose name the fixture's answers are kept under."""
BEFORE = pl.read_parquet(FIXTURE / "answers.parquet")


def restored(folder: Path) -> Path:
    """Return a folder with the old ledger and cache where a house looks for them."""
    shutil.copytree(FIXTURE / "forecast_cache", folder / "artifacts" / "forecast_cache")
    shutil.copy(FIXTURE / "call_ledger.sqlite", folder / "artifacts")
    return folder


def assert_the_rows_are_there(built: Road) -> None:
    built.run(FIVE[:2], assets=["answers"])
    rows = built.tables()["forecasts/answers"].select(BEFORE.columns)
    assert_frame_equal(rows, BEFORE, check_row_order=False)


def test_online_nothing_is_sent_and_the_rows_are_the_old_ones(tmp_path: Path) -> None:
    restored(tmp_path)
    with (
        TimeGPTServer(port=PORT, input_size=60) as server,
        road(tmp_path, *modest(server.url), pictures=False, clock=Clock(), **OPTIONS) as built,
    ):
        assert_the_rows_are_there(built)
        assert server.received == []


@pytest.mark.parametrize("lost", ["nothing", "ledger"])
def test_offline_every_paid_answer_is_read(tmp_path: Path, lost: str) -> None:
    if restored(tmp_path) and lost == "ledger":
        (tmp_path / "artifacts" / "call_ledger.sqlite").unlink()
    settings = (*modest(f"http://127.0.0.1:{PORT}"), "forecast.api_mode=offline")
    with road(tmp_path, *settings, pictures=False, clock=Clock(), profile="offline", base=TINY) as built:
        assert_the_rows_are_there(built)


def test_an_old_ledger_takes_new_records_and_keeps_its_own_as_they_are(tmp_path: Path) -> None:
    restored(tmp_path)
    with (
        TimeGPTServer(port=PORT, input_size=60) as server,
        road(tmp_path, *modest(server.url), pictures=False, clock=Clock(), **OPTIONS) as built,
    ):
        books = ledger(built.runtime)
        before = books.all_records()
        built.run(FIVE[2:3], assets=["answers"])
        after = books.all_records()
    assert server.counts == {"/v2/forecast": 2}
    new = [record for key, (_, record) in after.items() if key not in before]
    assert [len(record["features_hash"]) for record in new] == [12, 12]
    assert {key: after[key] for key in before} == before
    assert not any("features_hash" in record for _, record in before.values())
