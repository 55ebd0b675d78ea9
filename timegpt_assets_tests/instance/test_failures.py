"""How a step ends in the UI: by a sentence alone where it is explained, by its trace where it is a fault."""

import dagster as dg
import pytest

from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.instance.failures import Failed, said_plainly


def failure_of(error: Exception) -> dg.DagsterEvent:
    @dg.op
    @said_plainly
    def step() -> None:
        raise error

    @dg.job
    def job() -> None:
        step()

    result = job.execute_in_process(raise_on_error=False)
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event


def test_an_explained_error_is_its_sentence_and_nothing_else() -> None:
    error = failure_of(StoreError("bars of 2025-01-30 are not there. Make them first.")).event_specific_data.error
    assert (error.message, error.stack, error.cause) == (
        "bars of 2025-01-30 are not there. Make them first.\n",
        [],
        None,
    )


def test_a_fault_keeps_its_trace() -> None:
    error = failure_of(KeyError("planted")).event_specific_data.error
    assert "planted" in error.cause.message
    assert any("raise error" in line for line in error.cause.stack)


def test_what_may_be_opened_stands_under_the_sentence() -> None:
    event = failure_of(Failed("no", {"run": dg.MetadataValue.dagster_run("abc")}))
    assert event.step_failure_data.user_failure_data.metadata["run"].value == "abc"


def test_a_failure_is_never_retried_by_itself_and_can_be_raised_by_hand() -> None:
    assert Failed("no").allow_retries is False
    with pytest.raises(dg.Failure, match=r"^no$"):
        raise Failed("no")
