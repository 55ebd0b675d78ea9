"""The sessions of the stages: by pencil, never meeting, never after gates.oos_start; whatever is asked."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.research.search_windows import Span, Window, WindowError, after, spans

OOS = date(2025, 3, 16)
"""A Sunday."""


def test_without_last_sessions_they_lie_one_after_the_other_up_to_oos_start() -> None:
    first, second = spans(Window(sessions=3), Window(sessions=5), oos_start=OOS)
    assert second == Span(date(2025, 3, 10), date(2025, 3, 14))
    assert first == Span(date(2025, 3, 5), date(2025, 3, 7))
    assert after(OOS, 3, as_of=date(2025, 3, 20)) == Span(date(2025, 3, 18), date(2025, 3, 20))
    assert after(OOS, 9, as_of=date(2025, 3, 20)) == Span(date(2025, 3, 17), date(2025, 3, 20))
    assert after(OOS, 9, as_of=date(2025, 3, 14)) is None
    assert after(OOS, 9, as_of=OOS) is None
    assert first.days == (date(2025, 3, 5), date(2025, 3, 6), date(2025, 3, 7))


@pytest.mark.parametrize(
    ("coarse", "refine", "key", "words"),
    [
        ((3, None), (5, date(2025, 3, 17)), "refine.until", "Set it to 2025-03-16 or earlier, or to null"),
        ((3, date(2025, 3, 20)), (5, None), "coarse.until", "sessions after it are out of sample"),
        ((3, date(2025, 3, 10)), (5, None), "coarse.until", "Set it to 2025-03-07 or earlier"),
        ((3, date(2025, 3, 11)), (5, None), "coarse.until", "Set it to 2025-03-07 or earlier"),
        ((9, date(2025, 3, 14)), (5, None), "coarse.until", "what both see confirms nothing"),
        ((3, None), (99_999, None), "refine.sessions", "Lower it"),
    ],
)
def test_stages_that_would_see_what_they_must_not_are_refused_and_the_remedy_works(
    coarse: tuple[int, date | None], refine: tuple[int, date | None], key: str, words: str
) -> None:
    with pytest.raises(WindowError, match=words) as refused:
        spans(*(Window(sessions=n, until=until) for n, until in (coarse, refine)), oos_start=OOS)
    assert refused.value.key == f"search.stages.{key}"
    spans(Window(sessions=coarse[0]), Window(sessions=min(refine[0], 5)), oos_start=OOS)


DAYS = st.one_of(st.none(), st.dates(date(2024, 9, 1), date(2025, 5, 1)))


@given(st.integers(1, 60), st.integers(1, 60), DAYS, DAYS)
def test_whatever_is_asked_no_session_is_seen_twice_or_from_after_oos_start(
    coarse: int, refine: int, coarse_until: date | None, refine_until: date | None
) -> None:
    try:
        found = spans(Window(sessions=coarse, until=coarse_until), Window(sessions=refine, until=refine_until),
                      oos_start=OOS)  # fmt: skip
    except WindowError:
        return
    seen = [{*span.days} for span in found]
    assert (len(seen[0]), len(seen[1])) == (coarse, refine)
    assert not seen[0] & seen[1]
    assert max(seen[0] | seen[1]) <= OOS
    later = after(OOS, 20, as_of=OOS + timedelta(days=60))
    assert later is not None
    assert later.first > OOS
