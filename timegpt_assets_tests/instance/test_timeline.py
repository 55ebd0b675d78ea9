"""A run of ours in the UI: on the timeline under our code location while it goes on, named for who asked."""

from pathlib import Path
from uuid import uuid4

import dagster as dg

from timegpt_assets.instance import timeline
from timegpt_assets.instance.run_owners import CODE_LOCATION


def test_a_run_stands_on_the_timeline_before_its_first_step(tmp_path: Path) -> None:
    seen: list[str] = []

    @dg.asset
    def one(context: dg.AssetExecutionContext) -> None:
        origin = context.instance.get_run_by_id(context.run.run_id).remote_job_origin
        seen.append(f"{origin.location_name} {origin.repository_origin.repository_name} {origin.job_name}")

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        job = dg.Definitions(assets=[one]).resolve_implicit_global_asset_job_def()
        for _ in range(2):
            run_id = str(uuid4())
            timeline.shown(instance, run_id)
            job.execute_in_process(instance=instance, run_id=run_id, tags={timeline.USER: "timegpt-assets demo"})
        other = job.execute_in_process(instance=instance, raise_on_error=False)
        (run,) = instance.get_runs(dg.RunsFilter(run_ids=[run_id]))
        assert (run.tags[timeline.USER], run.status) == ("timegpt-assets demo", dg.DagsterRunStatus.SUCCESS)
        assert not other.success, "the asset asks for an origin, and this run was not put there"
    assert seen == [f"{CODE_LOCATION} __repository__ __ASSET_JOB"] * 2


def test_an_instance_that_nobody_sees_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        timeline.shown(instance, "run")
        assert not instance._subscribers
