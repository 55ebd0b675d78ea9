"""What is held out is whole, of each category its share, and the same for every order of rows."""

import polars as pl
import pytest

from timegpt_assets.core.tsfm.holdout import first_held_day, held_events, of_categories
from timegpt_assets_tests.core.tsfm.outcome_rows import before, outcomes


def events(category: str, count: int) -> pl.DataFrame:
    return pl.concat(outcomes([0.5, 0.5], market=f"{category}{n}", category=category) for n in range(count))


@pytest.mark.parametrize(
    ("days", "share", "held"), [(10, 0.2, 2), (11, 0.2, 3), (1, 0.2, 1), (5, 0.2, 1), (30, 0.1, 3)]
)
def test_the_latest_days_are_held_out_whole(days: int, share: float, held: int) -> None:
    rows = pl.concat(outcomes([0.5], day=before(n)) for n in range(days))
    assert first_held_day(rows, share) == before(held - 1)


def test_of_no_rows_nothing_is_held_out() -> None:
    none = outcomes([0.5]).clear()
    assert first_held_day(none, 0.2) is None
    assert held_events(none, 0.2) == frozenset()


def test_each_category_gives_its_share_whatever_the_others_are() -> None:
    sports, art = events("Sports", 20), events("Art", 5)
    both = held_events(pl.concat([sports, art]), 0.2)
    assert of_categories(pl.concat([sports, art]), both) == {"Art": (5, 1), "Sports": (20, 4)}
    assert both == held_events(sports, 0.2) | held_events(art, 0.2)
    assert held_events(pl.concat([art, sports]).sample(fraction=1.0, shuffle=True, seed=1), 0.2) == both


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 1), (3, 1)])
def test_of_few_events_some_are_left_to_learn_from(count: int, held: int) -> None:
    assert len(held_events(events("Sports", count), 0.2)) == held


def test_which_events_are_held_out_hangs_on_their_names_alone() -> None:
    names = [f"event of m{n}" for n in range(30)]
    held = held_events(pl.concat(outcomes([0.5], market=f"m{n}") for n in range(30)), 0.2)
    # each event under the market of another one: the order of markets is turned round
    turned = pl.concat(outcomes([0.5], market=f"m{29 - n}", event_id=name) for n, name in enumerate(names))
    assert held_events(turned, 0.2) == held
    assert held != set(sorted(names)[:6])
