"""What an event is worth: never more than 1, never more for being less official, less sure or told again."""

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.news.cluster import clustered
from timegpt_assets.core.news.quality import QualitySpec, scored
from timegpt_assets.core.tables.news import LINKED_NEWS
from timegpt_assets_tests.core.news.normalized_made import DAY, DAYS, SPEC, event, normalized

WORTH = QualitySpec(
    tiers={"fred": 1, "own": 2, "gdelt_doc": 3},
    confidence={"fred": 0.9, "own": 0.8, "gdelt_doc": 0.6},
    weights={1: 1.0, 2: 0.7, 3: 0.3},
    min_quality=0.2,
    exclude_synthetic=True,
)


def links(events: pl.DataFrame, *found: tuple[str, str, float], **other: Any) -> pl.DataFrame:
    """Return LINKED_NEWS: (event, company, confidence) each, all else as in ``other``."""
    rows = [
        {"event_id": name, "entity": who, "entity_kind": "symbol", "symbol": who, "method": "name", "confidence": sure}
        | {"synthetic_link": False}
        | other
        for name, who, sure in found
    ]
    schema = {name: dtype for name, dtype in LINKED_NEWS.schema.items() if name != "day"}
    days = events.select("day", "event_id")
    return LINKED_NEWS.conformed(pl.DataFrame(rows, schema=schema, orient="row").join(days, on="event_id"))


def worth(
    *told: dict[str, Any], linked: Any = None, days: tuple[date, ...] = (DAY,), spec: QualitySpec = WORTH
) -> pl.DataFrame:
    events = normalized(told)
    found = links(events, *((one["event_id"], "AAA", 0.9) for one in told)) if linked is None else linked(events)
    clusters = clustered(events, days=DAYS, spec=SPEC)
    return scored(events, found, clusters, days=days, spec=spec)


def test_what_is_worth_what_by_the_formulas() -> None:
    title = "Acme to buy Zenith for $2 bln"
    found = worth(event(title, 0, "a", source="fred"), event(title, 1, "b", source="gdelt_doc")).sort("event_id")
    assert found["tier"].to_list() == [1, 3]
    assert found["novelty"].to_list() == [1.0, 0.5]
    assert found["confidence"].to_list() == pytest.approx([0.81, 0.54])
    assert found["quality"].to_list() == pytest.approx([(1.0 * 0.81 * 1.0) ** (1 / 3), (0.3 * 0.54 * 0.5) ** (1 / 3)])
    assert found["cluster_id"].to_list() == ["a", "a"]


def test_weights_count_in_parts_of_the_greatest() -> None:
    told = event("Acme to buy Zenith for $2 bln", source="own")
    twice = replace(WORTH, weights={tier: 2 * weight for tier, weight in WORTH.weights.items()})
    assert worth(told, spec=twice)["quality"].to_list() == worth(told)["quality"].to_list()


def test_copies_count_until_they_are_worth_too_little() -> None:
    copies = [event("Acme to buy Zenith for $2 bln", n / 60, f"{n:02d}", source="gdelt_doc") for n in range(40)]
    used = worth(*copies).sort("event_id")["used"].to_list()
    assert used == [True] * 20 + [False] * 20, "0.3 x 0.54 / 20 is still above 0.2 ** 3"


def test_a_link_by_the_market_alone_is_not_used_unless_it_is_asked_for() -> None:
    told = event("Stocks rise", 0, "a", source="fred")

    def synthetic(events: pl.DataFrame) -> pl.DataFrame:
        return links(events, ("a", "market", 0.9), synthetic_link=True, entity_kind="macro", symbol=None)

    assert worth(told, linked=synthetic)["used"].to_list() == [False]
    assert worth(told, linked=synthetic, spec=replace(WORTH, exclude_synthetic=False))["used"].to_list() == [True]


def test_a_day_holds_its_own_links_and_those_of_the_session_before_each_once() -> None:
    told = [event(f"Acme opens plant number {n}", -1440.0 * n, f"{n}") for n in range(4)]  # 3: on Sunday
    found = worth(*told, days=tuple(DAYS))
    counts = {day: sorted(part["event_id"]) for (day,), part in found.group_by("day")}
    thursday, tuesday, monday = (date(2018, 3, n) for n in (8, 6, 5))
    assert counts == {monday: ["2", "3"], tuesday: ["1", "2", "3"], DAY: ["0", "1"], thursday: ["0"]}


def test_an_event_that_is_delivered_again_is_there_once_as_it_was_first_known() -> None:
    told = [event("Acme to buy Zenith", -1440, "same"), event("Acme to buy Zenith", 0, "same")]
    found = worth(*told, linked=lambda events: links(events.unique("day"), ("same", "AAA", 0.9)))
    assert found.select("event_id", "known_at").rows() == [("same", told[0]["known_at"])]


def test_a_source_that_nobody_knows_is_named_with_what_to_do() -> None:
    with pytest.raises(KeyError, match=r"no tier is known of elsewhere: add it to news\.source"):
        worth(event("Acme to buy Zenith", source="elsewhere"))


def test_of_no_days_there_is_nothing() -> None:
    assert worth(event("Acme to buy Zenith"), days=()).is_empty()


SHARES = st.floats(0.0, 1.0)


@settings(max_examples=40)
@given(st.lists(SHARES, min_size=3, max_size=3), st.lists(SHARES, min_size=3, max_size=3), SHARES, st.integers(1, 5))
def test_quality_lies_in_0_to_1_and_never_rises_with_less_of_anything(
    weights: list[float], confidences: list[float], sure: float, copies: int
) -> None:
    heavy, middle, light = sorted(weights, reverse=True)
    spec = replace(
        WORTH,
        weights={1: heavy, 2: middle, 3: light},
        confidence=dict(zip(("fred", "own", "gdelt_doc"), sorted(confidences, reverse=True), strict=True)),
    )
    title = "Acme to buy Zenith for $2 bln"
    told = [event(title, n, f"{n:02d}", source=source) for n, source in enumerate(("fred", "own", "gdelt_doc"))]
    told += [event(title, 10 + n, f"{10 + n}", source="gdelt_doc") for n in range(copies)]
    less = [(one["event_id"], "BBB", sure / 2) for one in told]
    found = worth(
        *told, linked=lambda events: links(events, *((one["event_id"], "AAA", sure) for one in told), *less), spec=spec
    )
    for column in ("quality", "confidence", "novelty"):
        assert found[column].is_between(0.0, 1.0).all()
    ours, theirs = (found.filter(entity=who).sort("event_id")["quality"] for who in ("AAA", "BBB"))
    assert ours.is_sorted(descending=True), "less official, less sure, told again"
    assert (theirs <= ours).all(), "a link less sure"
    assert found.height == 2 * len(told)
