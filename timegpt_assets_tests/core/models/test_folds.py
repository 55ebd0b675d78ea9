"""Splits: nothing that is learnt from touches what judges it, and everything judges once."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.models.folds import (
    Fold,
    TooFewSessions,
    learnt_from,
    purged_folds,
    sessions,
    successive,
    walk_forward,
)
from timegpt_assets.core.schema import TIME

FIRST = date(2025, 3, 3)


def rows(days: int, *, hours: int = 1, every: int = 1) -> pl.DataFrame:
    """Return three rows for each ``every``-th day whose labels end ``hours`` later, on another day if that is long."""
    found = [
        {"day": FIRST + timedelta(days=day), "snapshot_ts": at, "target_ts": at + timedelta(hours=hours)}
        for day in range(0, days * every, every)
        for at in (datetime(2025, 3, 3, hour, tzinfo=UTC) + timedelta(days=day) for hour in (14, 16, 18))
    ]
    return pl.DataFrame(found, schema={"day": pl.Date, "snapshot_ts": TIME, "target_ts": TIME})


def places(fold: Fold, days: list[date]) -> tuple[set[int], set[int]]:
    """Return the places of the sessions that teach, and of those that judge."""
    teach, judge = ({days.index(day) for day in side["day"]} for side in (fold.train, fold.test))
    return teach, judge


def apart(fold: Fold) -> bool:
    """Return whether no label's span of one side touches one of the other."""
    return all(
        ended <= start or end <= began
        for start, end in fold.train.select("snapshot_ts", "target_ts").iter_rows()
        for began, ended in fold.test.select("snapshot_ts", "target_ts").iter_rows()
    )


FEW = settings(max_examples=40)
SIZES = {"days": st.integers(6, 24), "hours": st.integers(1, 80), "every": st.integers(1, 3)}


@FEW
@given(**SIZES, folds=st.integers(2, 6), embargo=st.integers(0, 2))
def test_each_row_judges_once_and_nothing_that_teaches_touches_it(
    days: int, hours: int, every: int, folds: int, embargo: int
) -> None:
    made = rows(days, hours=hours, every=every)
    try:
        found = purged_folds(made, folds=folds, embargo_days=embargo)
    except TooFewSessions:
        assert days - 2 * embargo - hours // 24 <= 2 * days / folds + 2
        return
    assert pl.concat([fold.test for fold in found]).equals(made)
    for fold in found:
        teach, judge = places(fold, sessions(made))
        assert apart(fold)
        assert judge == set(range(min(judge), max(judge) + 1))
        assert min(abs(one - other) for one in teach for other in judge) > embargo
        left = {place for place in range(days) if min(abs(place - other) for other in judge) > embargo}
        assert (teach == left) or hours > 18


@FEW
@given(**SIZES, validation=st.integers(1, 6), embargo=st.integers(0, 3))
def test_walking_forward_the_newest_sessions_judge_and_the_embargo_stands_before_them(
    days: int, hours: int, every: int, validation: int, embargo: int
) -> None:
    made = rows(days, hours=hours, every=every)
    try:
        fold = walk_forward(made, validation_sessions=validation, embargo_days=embargo)
    except TooFewSessions:
        assert days - validation - embargo <= hours // 24 + 1
        return
    teach, judge = places(fold, sessions(made))
    assert judge == set(range(days - validation, days))
    assert max(teach) < days - validation - embargo
    assert apart(fold)
    if hours < 20:
        assert teach == set(range(days - validation - embargo))


def test_learning_anew_every_so_often_each_session_from_the_first_on_judges_once_by_what_was_known() -> None:
    made = rows(11)
    found = successive(made, first=4, step=3, embargo_days=1)
    taught = [(range(3), range(4, 7)), (range(6), range(7, 10)), (range(9), range(10, 11))]
    assert [places(fold, sessions(made)) for fold in found] == [(set(t), set(j)) for t, j in taught]


def test_the_window_ends_the_embargo_before_what_it_is_used_on() -> None:
    assert sessions(learnt_from(rows(5), embargo_days=2)) == sessions(rows(5))[:3]
    assert learnt_from(rows(5), embargo_days=0).equals(rows(5))
    assert learnt_from(rows(2), embargo_days=3).is_empty()


def test_labels_that_reach_into_the_block_are_purged_without_any_embargo() -> None:
    overnight = rows(6, hours=22)
    middle = purged_folds(overnight, folds=3, embargo_days=0)[1]
    teach, judge = places(middle, sessions(overnight))
    assert judge == {2, 3}
    # of the day before, the label asked at 18:00 ends after the block's first snapshot at 14:00
    assert middle.train.filter(pl.col("day") == sessions(overnight)[1])["snapshot_ts"].dt.hour().to_list() == [14, 16]
    assert teach == {0, 1, 4, 5}
    # and of the day after, those asked before the block's last label has ended
    assert middle.train.filter(pl.col("day") == sessions(overnight)[4])["snapshot_ts"].dt.hour().to_list() == [16, 18]


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (lambda: purged_folds(rows(3), folds=5, embargo_days=1), "3 sessions make no 5 folds"),
        (lambda: purged_folds(rows(4), folds=2, embargo_days=2), "nothing is left to learn from beside the 2 sessions"),
        (lambda: walk_forward(rows(4), validation_sessions=4, embargo_days=0), "4 sessions leave none beside 4"),
        (lambda: walk_forward(rows(4), validation_sessions=3, embargo_days=1), "nothing is left to learn from"),
        (lambda: successive(rows(4), first=1, step=1, embargo_days=1), "nothing is left to learn from"),
    ],
)
def test_where_a_side_would_be_empty_is_said_and_what_to_do(split, said: str) -> None:
    with pytest.raises(TooFewSessions, match=rf"{said}.*(models\.window_months).*models\.embargo_days"):
        split()


SKFOLIO = {
    (0, 1): [7, 8, 9, 10, 11],
    (0, 2): [4, 10, 11],
    (0, 3): [4, 5, 6, 7],
    (1, 2): [0, 1, 10, 11],
    (1, 3): [0, 1, 7],
    (2, 3): [0, 1, 2, 3, 4],
}
"""What skfolio 1.12.2 says: CombinatorialPurgedCV(n_folds=4, n_test_folds=2, purged_size=1).split of 12 observations.

Places of two test blocks -> what is learnt from. Its purge counts observations on either side of a block, as the
embargo here counts sessions. Where blocks come out uneven it puts the rest into the last one, we one into each.
"""


def test_of_two_blocks_what_skfolio_leaves_to_learn_from_is_what_both_folds_leave() -> None:
    made = rows(12)
    found = purged_folds(made, folds=4, embargo_days=1)
    for (one, other), taught in SKFOLIO.items():
        both = places(found[one], sessions(made))[0] & places(found[other], sessions(made))[0]
        assert sorted(both) == taught


def test_walking_forward_as_skfolio_does() -> None:
    """What 1.12.2 says: WalkForward(test_size=3, train_size=4, expand_train=True, purged_size=1) of 11 observations."""
    made = rows(11)
    found = [places(fold, sessions(made)) for fold in successive(made, first=5, step=3, embargo_days=1)]
    assert found == [({0, 1, 2, 3}, {5, 6, 7}), ({0, 1, 2, 3, 4, 5, 6}, {8, 9, 10})]
