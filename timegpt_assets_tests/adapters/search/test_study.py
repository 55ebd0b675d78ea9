"""The study: the same trials whoever sweeps, an honest winner, and what is refused."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets.adapters.search import study_store, workers
from timegpt_assets.adapters.search.importance import shares
from timegpt_assets.adapters.search.studies import Studies, study_name
from timegpt_assets.adapters.search.study import choice, params
from timegpt_assets.adapters.search.study_errors import StudyError, WorkerLost
from timegpt_assets.core.research.trials import COMPLETE, PRUNED, Trial
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.adapters.search.searches import INNER, NAME, PLAN, lines, searched
from timegpt_assets_tests.core.research import search_market as market

SHORT = replace(PLAN, trials=12)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Return the trials of the plan, made at one go by one process."""
    return searched(tmp_path_factory.mktemp("whole"))


def by_number(folder: Path) -> list[dict[str, Any]]:
    return sorted(lines(folder), key=lambda one: one["number"])


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.whole)])
def test_the_trials_are_the_same_whatever_the_number_of_workers(tmp_path: Path, whole: list[Trial], count: int) -> None:
    assert searched(tmp_path, processes=count) == whole
    assert {trial.state for trial in whole} == {COMPLETE, PRUNED}
    assert len({str(trial.outer) for trial in whole}) > 30


def test_another_name_has_other_trials(tmp_path: Path, whole: list[Trial]) -> None:
    other = searched(tmp_path, name="rules_coarse_another", plan=SHORT)
    assert [trial.outer for trial in other] != [trial.outer for trial in whole[:12]]


@pytest.mark.whole
def test_more_trials_go_on_from_those_that_are_there(tmp_path: Path, whole: list[Trial]) -> None:
    assert searched(tmp_path, plan=replace(PLAN, trials=10)) == whole[:10]
    assert searched(tmp_path, plan=replace(PLAN, trials=21)) == whole[:21]
    assert searched(tmp_path) == whole


def test_pruning_gives_up_no_winner_that_it_has_seen_whole_and_tells_no_part_as_the_whole(
    tmp_path: Path, whole: list[Trial]
) -> None:
    own = market.space(inner=INNER)
    material = market.made(own, days=4)
    given_up = [trial for trial in whole if trial.state == PRUNED]
    assert given_up
    assert all(len(trial.steps) == 1 for trial in given_up)
    best = max((trial for trial in whole if trial.state == COMPLETE), key=lambda trial: trial.value)
    tried = own.tried(best.outer)
    assert own.worth(tried, material.swept(tried.combinations), 200_000.0) == best.worth, "swept on every session"
    unpruned = searched(tmp_path, plan=replace(PLAN, prune_after=PLAN.trials))
    assert all(trial.state == COMPLETE for trial in unpruned)
    assert max(trial.value for trial in unpruned) == best.value, "here nothing is lost by pruning"


def test_a_choice_made_before_is_not_swept_again(tmp_path: Path) -> None:
    small = market.space({"rule_set": ("enhancement", "budget_sprint"), "entry_lag_bars": (1, 2)}, INNER)
    recorded: list[str] = []
    found = searched(tmp_path, space=small, plan=replace(PLAN, trials=20), record=recorded.extend)
    again = [trial for trial in found if trial.duplicate_of is not None]
    assert len(again) >= 16 - sum(trial.state == PRUNED for trial in found)
    for trial in again:
        first = found[trial.duplicate_of or 0]
        assert (first.outer, first.worth, first.duplicate_of) == (trial.outer, trial.worth, None)
    assert len(recorded) <= 4 * 6 + 6 * sum(trial.state == PRUNED for trial in found)


@pytest.mark.whole
def test_what_is_carried_is_tried_first(tmp_path: Path) -> None:
    first = ({name: values[-1] for name, values in market.space().values().items()},)
    found = searched(tmp_path, plan=replace(SHORT, first=first))
    assert found[0].outer == first[0]
    assert found == searched(tmp_path, plan=replace(SHORT, first=first))


def test_two_searches_of_one_study_at_once_are_refused_with_the_owner_and_the_remedy(tmp_path: Path) -> None:
    with (
        study_store.opened(tmp_path, NAME, owner="process 7 on elsewhere"),
        pytest.raises(StudyError, match=r"process 7 on elsewhere. Wait for it, or end it.*--set search.study="),
    ):
        searched(tmp_path)
    (tmp_path / NAME / "lock").write_text("process 7 on elsewhere")
    assert len(searched(tmp_path, plan=SHORT)) == 12, "a lock without a holder holds nobody"


@pytest.mark.parametrize("half", ["trials.jsonl", "journal.log"])
@pytest.mark.parametrize("left", [40, pytest.param(1, marks=pytest.mark.whole)])
def test_what_a_killed_writer_left_half_written_is_made_good(tmp_path: Path, half: str, left: int) -> None:
    """A line cut short is made again: of the lines, from the storage; of the storage, by sweeping again."""
    made = searched(tmp_path, plan=SHORT)
    file, text = tmp_path / NAME / half, (tmp_path / NAME / half).read_bytes()
    start = text.rstrip(b"\n").rfind(b"\n") + 1
    file.write_bytes(text[: start + left])
    if half == "journal.log":  # its line is written after it
        other = tmp_path / NAME / "trials.jsonl"
        other.write_bytes(b"".join(other.read_bytes().splitlines(keepends=True)[:-1]))
    assert searched(tmp_path, plan=SHORT) == made
    assert by_number(tmp_path) == [trial.as_json() for trial in made]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace(b'"value":', b'"value":1', 1),
        pytest.param(lambda text: text + text.splitlines(keepends=True)[0], marks=pytest.mark.whole),
        pytest.param(
            lambda text: text + text.splitlines(keepends=True)[-1].replace(b'"number":', b'"number":9'),
            marks=pytest.mark.whole,
        ),
    ],
    ids=["changed", "repeated", "strange"],
)
def test_a_file_of_trials_that_was_edited_is_refused_and_the_remedy_works(
    tmp_path: Path, edit: Callable[[bytes], bytes]
) -> None:
    made = searched(tmp_path, plan=SHORT)
    file = tmp_path / NAME / "trials.jsonl"
    text = file.read_bytes()
    file.write_bytes(edit(text))
    with pytest.raises(StudyError, match=r"trials.jsonl holds trial .* Restore both from a backup, or move"):
        searched(tmp_path, plan=SHORT)
    file.write_bytes(text)
    assert searched(tmp_path, plan=SHORT) == made
    file.write_bytes(edit(text))
    (tmp_path / NAME).rename(tmp_path / "away")
    assert searched(tmp_path, plan=SHORT) == made


def test_a_storage_that_cannot_be_written_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("in the way")
    with pytest.raises(StudyError, match=r"cannot be used: .* set search.folder"):
        searched(tmp_path)


@pytest.mark.whole
def test_a_worker_that_is_killed_is_said_and_what_is_over_is_kept(
    tmp_path: Path, whole: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    give, given = workers.Started.give, []

    def giving(self: workers.Started, pipe: Any, what: object) -> None:
        give(self, pipe, what)
        given.append(what)
        if len(given) == 12:
            os.kill(self.processes[pipe].pid, signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(workers.Started, "give", giving)
        with pytest.raises(WorkerLost, match=r"killed by signal 9.*--set search.workers=1"):
            searched(tmp_path, processes=2)
    there = len(lines(tmp_path))
    assert 0 < there < PLAN.trials
    assert searched(tmp_path) == whole


@pytest.fixture
def url() -> Iterator[str]:
    if not postgres.is_there():
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    with postgres.schema() as made:
        yield made


def test_postgresql_keeps_the_same_trials_and_one_search_at_a_time(tmp_path: Path, url: str) -> None:
    found = searched(tmp_path / "here", url=url, plan=SHORT)
    assert found == searched(tmp_path / "journal", plan=SHORT)
    assert not (tmp_path / "here" / NAME / "journal.log").exists()
    # another machine: no file of it is there, and all is known
    swept: list[str] = []
    assert searched(tmp_path / "there", url=url, plan=SHORT, record=swept.extend) == found
    assert swept == []
    assert lines(tmp_path / "there") == by_number(tmp_path / "here")
    with (
        study_store.opened(tmp_path / "here", NAME, owner="process 7 on elsewhere", url=url),
        pytest.raises(StudyError, match=r"being searched by process 7 on elsewhere"),
    ):
        searched(tmp_path / "there", url=url)


def test_the_address_is_said_nowhere(tmp_path: Path) -> None:
    secret = "postgresql://someone:hunter2@127.0.0.1:1/nowhere"
    with pytest.raises(StudyError, match="TIMEGPT_ASSETS_SEARCH_URL") as refused:
        searched(tmp_path, url=secret)
    studies = Studies(folder=tmp_path, owner="me", processes=1, url=secret)
    for said in (str(refused.value), repr(studies), repr(refused.value.__cause__)):
        assert "hunter2" not in said
        assert "someone" not in said


def test_a_study_is_another_when_anything_that_decides_its_trials_is() -> None:
    own, about = market.space(inner=INNER), {"code": "1"}
    material = market.made(own, days=4)

    def name(**changes: Any) -> str:
        given: dict[str, Any] = {"space": own, "material": material, "plan": PLAN, "about": about} | changes
        return study_name("rules", "coarse", **given)

    assert name() == name(material=market.made(own, days=4))
    assert name().startswith("rules_coarse_2025-01-06_2025-01-10_")
    others = [
        name(space=market.space()),
        name(space=replace(own, smooth=False)),
        name(space=replace(own, penalties=replace(own.penalties, turnover=0.5))),
        name(material=market.made(own, days=3)),
        name(material=market.made(own, days=4, seed=2)),
        name(plan=replace(PLAN, batch=5)),
        name(plan=replace(PLAN, first=({"entry_lag_bars": 1},))),
        name(about={"code": "2"}),
    ]
    assert len({name(), *others}) == len(others) + 1
    assert name(plan=replace(PLAN, trials=99)) == name(), "more trials are of the same study"


def test_a_choice_is_what_optuna_names_it_and_back() -> None:
    values = {"a": (1, 2, 5), "b": (True, False), "c": (None, 2.0), "d": (0.5,), "e": (3, 1), "f": ("x", "y")}
    chosen = {"a": 5, "b": False, "c": None, "d": 0.5, "e": 1, "f": "y"}
    named = params(chosen, values)
    assert named == {"a": 2, "b": False, "c": None, "d": 0.5, "e": 1, "f": "y"}
    assert choice(named, values) == chosen


def test_the_rule_that_decides_is_the_one_that_matters() -> None:
    values = {"a": (1, 2, 3), "b": ("x", "y"), "c": (1,)}
    trials = [({"a": a, "b": b, "c": 1}, float(a == 2) + 0.001 * n) for n in range(8) for a in (1, 2, 3) for b in "xy"]
    found = shares(trials, values)
    assert list(found) == ["a", "b"]
    assert found["a"] > 0.9
    assert shares(trials[:3], values) == {}
    assert shares([(outer, 1.0) for outer, _ in trials], values) == {}


def test_trial_is_kept_only_when_it_is_over(tmp_path: Path) -> None:
    """Each line is written when its trial is over, and not at the end of the batch."""
    seen: list[int] = []
    kept = study_store.StudyStore.add

    def adding(self: study_store.StudyStore, trial: Trial, frozen: Any) -> None:
        kept(self, trial, frozen)
        seen.append(len(lines(tmp_path)))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(study_store.StudyStore, "add", adding)
        searched(tmp_path, plan=SHORT)
    assert seen == list(range(1, 13))
