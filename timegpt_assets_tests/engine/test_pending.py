"""Notes of what waits: a damaged one is set aside and said, and stops no verb, the one that forgets it included."""

import logging
from collections.abc import Iterator
from datetime import date

import dagster as dg
import orjson
import pytest

from timegpt_assets.engine import pending
from timegpt_assets.engine.engine import Outcome
from timegpt_assets.engine.stages import EVERYDAY, NEWS

DAYS = [date(2025, 1, 30), date(2025, 1, 31)]
ASSETS = ("answers",)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        pending.note(opened, DAYS, Outcome(pending=DAYS, why="no calls are left"), assets=ASSETS)
        yield opened


def stored(instance: dg.DagsterInstance, text: str) -> None:
    instance.daemon_cursor_storage.set_cursor_values({pending._KEY: text})


def good(instance: dg.DagsterInstance) -> dict[str, object]:
    (entry,) = orjson.loads(instance.daemon_cursor_storage.get_cursor_values({pending._KEY})[pending._KEY])
    return entry


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        '"text"',
        "{}",
        "[1]",
        "[null]",
        "[[]]",
        '[{"first": "2025-01-30"}]',
        '[{"first": 5, "last": 6, "assets": [], "symbols": [], "why": ""}]',
        '[{"first": "2025-02-30", "last": "2025-03-01", "assets": [], "symbols": [], "why": ""}]',
        '[{"first": "2025-03-02", "last": "2025-03-01", "assets": [], "symbols": [], "why": ""}]',
        '[{"first": "2025-01-30", "last": "2025-01-31", "assets": [7], "symbols": [], "why": ""}]',
    ],
)
def test_a_damaged_note_is_set_aside_and_said_once(
    instance: dg.DagsterInstance, damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored(instance, damaged)
    with caplog.at_level(logging.WARNING):
        assert pending.waiting(instance) == []
        assert pending.waiting(instance) == []
    assert [line.endswith("Ask for those days again.") for line in caplog.messages] == [True]
    kept = instance.daemon_cursor_storage.get_cursor_values({pending._DAMAGED})
    assert kept == {pending._DAMAGED: damaged}
    pending.note(instance, DAYS, Outcome(pending=DAYS, why="no calls are left"), assets=ASSETS)
    assert [entry.first for entry in pending.waiting(instance)] == [DAYS[0]]


def test_beside_a_damaged_note_the_others_are_kept(instance: dg.DagsterInstance) -> None:
    stored(instance, orjson.dumps([{"first": "?"}, good(instance)]).decode())
    assert [entry.why for entry in pending.waiting(instance)] == ["no calls are left"]
    assert pending.forget(instance) == 1


def test_a_note_from_before_a_source_of_news_was_listed_is_replaced_by_what_came_of_its_days_after_that() -> None:
    with dg.DagsterInstance.ephemeral() as opened:
        for earlier, later in ((EVERYDAY, (*EVERYDAY, *NEWS)), ((*EVERYDAY, *NEWS), EVERYDAY)):
            pending.note(opened, DAYS, Outcome(held={DAYS[0]: "awaited"}), assets=earlier)
            assert [entry.assets for entry in pending.waiting(opened)] == [earlier]
            pending.note(opened, DAYS, Outcome(), assets=later)
            assert pending.waiting(opened) == []
