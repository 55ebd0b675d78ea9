"""Months in the middle of the road: what is made of them, in which order, of what, and what is left alone.

Guards against models of days that were never made, answers that nobody's model stands behind, history that a day's run
brings along, and money that is spent because a month is made.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from timegpt_assets.engine.axes import MONTHS
from timegpt_assets.engine.engine import Outcome, RunFailed
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.revisions import OLDER, only_stale, outdated
from timegpt_assets_tests.engine.months_toy import GRAPH, SYMBOLS, Toy, toy

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

MARCH, APRIL = date(2025, 3, 1), date(2025, 4, 1)
DAYS = (date(2025, 3, 28), date(2025, 3, 31), date(2025, 4, 1), date(2025, 4, 2))
"""The last two sessions of March and the first two of April, whose first one is on the 1st."""
DAILY = {"bars", "panel", "labels", "paid", "base_answers", "base_scores", "answers", "forecasts", "portfolio"}
MODELS = {"tree", "net", "policy"}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Toy, Outcome]]:
    """Yield the toy with all days made at once, and what came of it."""
    with toy(tmp_path_factory.mktemp("at_once")) as made:
        yield made, made.run(*DAYS)


@pytest.fixture
def made(tmp_path) -> Iterator[Toy]:
    with toy(tmp_path) as found:
        yield found


def partitions(outcome: Outcome) -> dict[str, list[date]]:
    """Return the days, or months, that were made of each asset, once for each time."""
    found: dict[str, list[date]] = {}
    for run in outcome.range_runs:
        for key in run.assets:
            found.setdefault(key.path[-1], []).extend(sorted({partition.day for partition in run.partitions}))
    return found


def each(names: set[str], days: list[date]) -> dict[str, list[date]]:
    return dict.fromkeys(names, days)


def test_levels_are_made_one_after_the_other_and_models_learn_from_earlier_months_alone(at_once):
    _, outcome = at_once
    ran = [key.path[-1] for run in outcome.range_runs for key in run.assets]
    assert len(ran) == len(set(ran)), "nothing is made twice"
    for earlier, later in (
        ("panel", "training_set"),
        ("training_set", "tree"),
        ("net", "base_answers"),
        ("base_scores", "policy"),
        ("policy", "answers"),
        ("portfolio", "gate"),
    ):
        assert ran.index(earlier) < ran.index(later)
    assert partitions(outcome)["training_set"] == [MARCH], (
        "April is not over for its own models, and is not learnt from"
    )
    assert partitions(outcome)["tree"] == [MARCH, APRIL]
    assert outcome.untaught == {"training_set": ["2024-12", "2025-01", "2025-02"]}, "no session of theirs is there"
    assert outcome.incomplete == {}


def test_sessions_one_after_the_other_store_what_all_at_once_store_and_remake_no_model(made, at_once):
    made.run(*DAYS[:2])
    first = partitions(made.run(DAYS[2]))
    assert first == each(DAILY, [DAYS[2]]) | each({*MODELS, "gate"}, [APRIL]) | {"training_set": [MARCH]}, (
        "the first session of a month makes the last month's training set and the month's models"
    )
    later = partitions(made.run(DAYS[3]))
    assert later == each(DAILY, [DAYS[3]]) | {"gate": [APRIL]}, "and a later one no session on the 1st, either"
    assert made.purse.spent == [*DAYS]
    assert made.rows() == at_once[0].rows()
    # a late day of the last month
    made.forget("bars/bars", DAYS[1])
    made.late = {f"{DAYS[1]}|{symbol}" for symbol in SYMBOLS}
    again = partitions(made.run(*DAYS[1:]))
    assert (again["training_set"], again["tree"], again["policy"]) == ([MARCH], [APRIL], [APRIL])
    assert again["base_answers"] == [*DAYS[1:]], "the days of April were answered by a model of March without it"


def test_a_lone_day_demands_no_history_and_pays_for_itself_alone(made):
    assert made.run(DAYS[3]).made == 12 + len(MODELS) + 1, "nine assets of the day, three of them of two symbols"
    assert made.purse.spent == [DAYS[3]]
    alone = made.run(APRIL, assets=("toy/tree",), named=frozenset(made.nodes))
    assert (alone.made, alone.there) == (0, 1)


def test_what_is_killed_between_two_levels_goes_on_from_there_in_blocks_of_days(made, at_once):
    """Blocks of two days: a month is made once, of the sessions of both."""
    for broken in ("toy/net", "toy/answers"):
        made.fails = {broken}
        with pytest.raises(RunFailed, match=f"^{broken} was told to fail"):
            made.run(*DAYS, range_days=2)
    made.fails = set()
    left = {"answers": [*DAYS], "forecasts": [*DAYS], "portfolio": [*DAYS], "gate": [MARCH, APRIL]}
    assert partitions(made.run(*DAYS, range_days=2)) == left
    assert made.rows() == at_once[0].rows()
    assert made.purse.spent == [*DAYS], "paid once, whatever broke above it"


def test_days_that_cannot_be_paid_for_end_at_what_stands_on_money_and_models_are_learnt_all_the_same(made):
    made.purse.days = 1
    outcome = made.run(*DAYS)
    assert outcome.pending == [*DAYS[1:]]
    ran = partitions(outcome)
    assert (ran["tree"], ran["policy"]) == ([MARCH, APRIL], [MARCH, APRIL])
    assert ran["answers"] == [*DAYS]
    assert (ran["paid"], ran["forecasts"], ran["gate"]) == ([DAYS[0]], [DAYS[0]], [MARCH])


def test_without_its_model_a_day_is_left_out_and_so_is_all_that_stands_on_it(made):
    """Told apart by what is there and not by what was asked for: nobody asks for the months here."""
    made.run(*DAYS[:2], assets=("bars/bars", "toy/panel", "toy/labels", "toy/paid"))
    days = ("toy/base_answers", "toy/base_scores", "toy/answers", "toy/forecasts", "toy/portfolio")
    outcome = made.run(*DAYS[:2], assets=days, whole=frozenset(made.nodes))
    assert outcome.range_runs == []
    assert outcome.incomplete == {name.split("/")[1]: [str(day) for day in DAYS[:2]] for name in days}


def test_a_day_that_waits_for_bars_asks_for_no_model_and_an_earlier_one_for_its_own(made):
    made.now = datetime(2025, 4, 1, 22, tzinfo=UTC)
    made.late = {f"{APRIL}|AAPL"}
    outcome = made.run(*DAYS[1:3])
    assert [*outcome.held] == [APRIL]
    assert partitions(outcome) == each(DAILY, [DAYS[1]]) | each({*MODELS, "gate"}, [MARCH]) | {"bars": [*DAYS[1:3]]}


def test_a_choice_of_symbols_learns_from_all_of_them(made, at_once):
    whole = frozenset(key for key in made.nodes if key.path[-1] not in ("forecasts", "portfolio", "gate"))
    wanted = [name for name in GRAPH if name != "toy/gate"]
    outcome = made.run(*DAYS, symbols=SYMBOLS[:1], whole=whole, assets=wanted)
    assert outcome.incomplete == {"portfolio": [str(day) for day in DAYS]}
    mine, everyones = made.rows(), at_once[0].rows()
    lacking = {name.split()[0] for name in everyones.keys() - mine.keys()}
    assert lacking == {"toy/forecasts", "toy/portfolio", "toy/gate"}
    assert mine == {name: everyones[name] for name in mine}


def test_what_is_stale_is_named_over_a_month_s_turn_and_made_again_until_nothing_is(made):
    """A day of March was made again alone: April's model learnt from what it was before, and answered by that."""
    made.run(*DAYS[1:3])
    made.run(DAYS[1], assets=("toy/panel",), forced=frozenset(made.nodes))
    wanted = made.asked(APRIL)
    named = {key.path[-1] for key in outdated(made.engine, wanted)[OLDER]}
    assert named == {"training_set", *MODELS, "gate", *DAILY} - {"bars", "panel", "labels"}
    again = partitions(made.engine.run(only_stale(made.engine, wanted)))
    assert (again["training_set"], again["tree"], again["policy"]) == ([MARCH], [APRIL], [APRIL])
    assert again["base_answers"] == [DAYS[1], APRIL], "the day of March is read by the policy of April"
    assert outdated(made.engine, wanted) == {}


def test_the_open_month_s_training_set_is_made_for_nobody_and_a_complete_one_for_whoever_names_it(made):
    names = ("bars/bars", "toy/panel", "toy/labels", "toy/training_set")
    named = frozenset(key for key in made.nodes if key.path[-1] == "training_set")
    made.now = datetime(2025, 4, 2, 22, tzinfo=UTC)
    assert partitions(made.run(*DAYS, assets=names, named=named))["training_set"] == [MARCH]
    learnt = made.asked(DAYS[0], assets=("toy/training_set", "toy/tree"), months=[MONTHS.shifted(MARCH, 3)])
    assert made.engine.months_asked(learnt).of(made.key("toy/tree"), learnt.days) == {PartitionRef(date(2025, 6, 1))}
    asked = made.engine.months_asked(learnt).of(made.key("toy/training_set"), learnt.days)
    assert asked == {PartitionRef(MARCH)}, "neither April nor May is over"
