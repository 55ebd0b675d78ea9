"""Two Celery workers share one backfill of scaled_house.py, and one of them is killed."""

from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.scaled_house import BROKER, DAYS, SNAPSHOTS, house, redis_is_there
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # of a daemon and a launcher that are not ours
    pytest.mark.skipif(not postgres.is_there(), reason=f"no PostgreSQL at {postgres.URL}"),
    pytest.mark.skipif(not redis_is_there(), reason=f"no Redis at {BROKER}"),
]


def test_two_workers_share_a_backfill_and_what_a_killed_one_left_is_run_again(tmp_path: Path) -> None:
    """Runs of two days each, two at a time; one worker dies between two paid calls of its run."""
    with TimeGPTServer(input_size=60, key=KEY) as server, house(tmp_path, server) as built:
        backfill = built.backfill(["forecasts/answers"], [str(day) for day in DAYS])
        built.until(lambda: len(built.started()) == len(built.workers))
        lost = built.in_the_middle()
        dead = built.worker_of(lost)
        dead.kill()
        built.until(lambda: built.status(backfill).startswith("COMPLETED"))
        assert built.status(backfill) == "COMPLETED_SUCCESS"
        calls = built.calls()
        asked = [call for call in calls if call["kind"] == "forecast"]
        told = [(call["snapshot_key"][:6], call["state"], call["note"]) for call in calls]
        states = Counter(call["state"] for call in asked)
        assert max(Counter(call["snapshot_key"] for call in asked if call["state"] == "ANSWERED").values()) == 1, told
        assert len({call["snapshot_key"] for call in asked}) == SNAPSHOTS, told
        assert states["UNKNOWN"] <= 1, told  # on its way as its worker died: spent, whatever became of it
        assert states["ANSWERED"] + states["UNKNOWN"] == server.counts["/v2/forecast"], told
        record = built.instance.get_run_record_by_id(lost)
        assert record is not None
        assert record.dagster_run.status == dg.DagsterRunStatus.FAILURE
        said = " ".join(entry.message for entry in built.instance.all_logs(lost))
        assert "its owner is gone" in said
        again = built.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": lost}))
        assert [run.status for run in again] == [dg.DagsterRunStatus.SUCCESS]
        (alive,) = [worker for worker in built.workers if worker is not dead]
        assert built.worker_of(again[0].run_id) is alive
        made = built.instance.get_materialized_partitions(dg.AssetKey(["forecasts", "answers"]))
        assert made == {str(day) for day in DAYS}
