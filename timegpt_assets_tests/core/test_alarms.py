"""Alarms are told once, again when they change, and when they are over; what cannot be read is not over."""

from timegpt_assets.core.alarms import TOLD, Alarm, Notice, heard, notices

DRIFT = Alarm(kind="drift", name="coverage", said="80 % band: 0.7")
RUN = Alarm(kind="run", name="daily_refresh", said="no source")


def test_what_was_told_is_told_again_only_when_it_changes_or_is_over() -> None:
    first = notices({}, [DRIFT, RUN])
    assert [(n.change, n.subject) for n in first] == [("new", "drift coverage"), ("new", "run daily_refresh")]
    told = heard({}, first)
    assert notices(told, [RUN, DRIFT]) == []
    worse = Alarm(kind="drift", name="coverage", said="80 % band: 0.6")
    later = notices(told, [worse])
    assert later == [
        Notice(change="changed", subject="drift coverage", said="80 % band: 0.6"),
        Notice(change="over", subject="run daily_refresh", said="no source"),
    ]
    told = heard(told, later)
    assert told == {"drift coverage": "80 % band: 0.6"}
    assert [n.change for n in notices(told, [worse, RUN])] == ["new"], "it rings again after it was over"


def test_of_what_cannot_be_read_now_nothing_is_said_to_be_over() -> None:
    told = heard({}, notices({}, [DRIFT, RUN]))
    assert [n.subject for n in notices(told, [], unread={"drift"})] == ["run daily_refresh"]


def test_long_words_are_cut_once_and_are_no_change_for_that() -> None:
    long = Alarm(kind="check", name="x", said="a" * 2 * TOLD)
    (notice,) = notices({}, [long])
    assert len(notice.said) == TOLD
    assert notices(heard({}, [notice]), [long]) == []
    assert notice.line == f"[new] check x: {'a' * TOLD}"
