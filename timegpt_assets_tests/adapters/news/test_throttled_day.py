"""A day on which GDELT's search refuses for hours, by a clock that is moved: what is asked, when, and nothing twice.

``python -m timegpt_assets_tests.adapters.news.test_throttled_day --renew`` writes its table into the page of news.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from timegpt_assets.adapters.news.breaker import Rules
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.news.health import Goals, health
from timegpt_assets.core.tables.news import NORMALIZED_NEWS
from timegpt_assets_tests.adapters.news.askers import DAY, Hands, asked, doc, sources
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.servers.gdelt import Fault, GdeltServer, too_many

PAGE = PROJECT / "docs" / "explanation" / "news.md"
BEGIN, END = "<!-- a throttled day: generated -->", "<!-- until here -->"
BEGINS = datetime(2024, 7, 1, 20, 15, tzinfo=UTC)
REFUSES, UNTIL = BEGINS + timedelta(seconds=55), datetime(2024, 7, 2, tzinfo=UTC)
SILENCE = timedelta(minutes=25)
"""How much longer the search refuses after each question that it refused."""
EVERY, FIRST_HOURS = timedelta(minutes=15), BEGINS + timedelta(hours=2)
NAMES = ("Apple", "Microsoft", "NVIDIA", "Amazon", "Alphabet", "Meta Platforms", "Tesla", "Broadcom", "Oracle", "Adobe")
COMPANIES = {f"T{number}": name for number, name in enumerate(NAMES)}


@dataclass
class Throttle:
    """The search's temper: from REFUSES until UNTIL it refuses, and each question in between makes that longer."""

    hands: Hands
    until: datetime = UNTIL
    told: list[tuple[datetime, bool]] = field(default_factory=list)

    def __call__(self, asked: str) -> Fault | None:
        """Refuse now with 429 and now with 200, in a fifth of a second, or let it be answered in one and a half."""
        now = self.hands.now
        is_refused = REFUSES <= now < self.until
        self.told.append((now, not is_refused))
        self.hands.pass_(0.2 if is_refused else 1.5)
        if not is_refused:
            return None
        self.until = max(self.until, now + SILENCE)
        return too_many(status=200 if len(self.told) % 2 else 429)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What came of a day: each call (when, whether it was answered), what each go left, and what is on record."""

    calls: list[tuple[datetime, bool]]
    goes: list[tuple[datetime, int, str]]
    attempts: pl.DataFrame
    raw: pl.DataFrame
    received: Counter[str]
    well: Counter[str]


def simulated(rules: Rules, *, spacing_s: float, hours: int) -> Simulated:
    """Ask for a session every quarter of an hour after its close, each time as a process of its own."""
    hands = Hands(now=BEGINS)
    throttle = Throttle(hands)
    goes = []
    with TemporaryDirectory() as place, GdeltServer(per_hour=0.5) as server:
        server.rule = throttle
        for number in range(4 * hours):
            hands.now = max(hands.now, BEGINS + number * EVERY)
            source = asked(Path(place), hands, doc(server.url, COMPANIES), rules, spacing_s=spacing_s)
            ours = sources(Path(place), source)
            raw = ours.deliver([DAY])
            state, _ = source.breaker.recorded()
            goes.append((hands.now, raw["failed"].drop_nulls().len(), state.breaker))
        return Simulated(
            calls=throttle.told,
            goes=goes,
            attempts=ours.attempts([DAY]),
            raw=raw,
            received=server.counts,
            well=server.well,
        )


def shipped() -> tuple[Rules, float]:
    """Return the rules and the spacing of the search as shipped."""
    news = load_settings(profile=None, config_dir=None, environment={}).news
    rules = news.breaker["gdelt_doc"]
    return Rules(**rules.model_dump()), news.spacing_s["gdelt_doc"]


@cache
def as_shipped() -> Simulated:
    rules, spacing_s = shipped()
    return simulated(rules, spacing_s=spacing_s, hours=24)


@cache
def without_breaker() -> Simulated:
    rules = Rules(failures=10**9, cooldown_s=1.0, successes=1)
    return simulated(rules, spacing_s=shipped()[1], hours=2)


def table(day: Simulated) -> list[str]:
    """Return the day as a table by the hour, as long as anything was left to ask, and what health says of it."""
    lines = [
        "| 1 July 2024, UTC | sent | answered | refused | companies without an answer | breaker |",
        "|---|---|---|---|---|---|",
    ]
    hour = BEGINS.replace(minute=0)
    while hour <= max(at for at, _ in day.calls):
        within = [good for at, good in day.calls if hour <= at < hour + timedelta(hours=1)]
        _, left, breaker = next(go for go in reversed(day.goes) if go[0] < hour + timedelta(hours=1))
        sent, good = len(within), sum(within)
        lines.append(f"| {hour:%H}:00 to {hour:%H}:59 | {sent} | {good} | {sent - good} | {left} | {breaker} |")
        hour += timedelta(hours=1)
    return lines


def health_row(day: Simulated) -> dict[str, object]:
    """Return the row of SOURCE_HEALTH of the day."""
    goals = Goals(
        sources=("gdelt_doc",),
        primaries=frozenset(),
        success_min=load_settings(profile=None, config_dir=None, environment={}).news.goals.success_min,
        publish_to_ingest_p95_s=120.0,
        live=False,
    )
    frame = health(day.attempts, day.raw, NORMALIZED_NEWS.empty(), days=[DAY], goals=goals)
    return frame.row(0, named=True)


def page() -> list[str]:
    """Return what the page of news says of the day."""
    ours, other = as_shipped(), without_breaker()
    found = health_row(ours)
    shown = ("attempts", "success", "failure", "rate_limit_count", "fetch_latency_p50_s", "breaker", "good")
    said = ", ".join(f"`{name}` {found[name]}" for name in shown)
    refused = sum(not good for _, good in other.calls)
    return [
        *table(ours),
        "",
        f"`source_health` of the session afterwards: {said}.",
        f"Without the breaker and with everything else as it is, the first two hours alone see {len(other.calls)}",
        f"questions, {refused} of them refused; with it they see {sum(at < FIRST_HOURS for at, _ in ours.calls)}.",
    ]


def test_nothing_is_asked_twice_and_everybody_has_an_answer_in_the_end() -> None:
    day = as_shipped()
    assert day.raw.height == len(COMPANIES)
    assert day.raw["failed"].null_count() == len(COMPANIES)
    assert set(day.well.values()) == {1}
    assert day.well.keys() == day.received.keys()
    assert sum(day.received.values()) == len(day.calls) == day.attempts.filter(pl.col("outcome") != "held").height


def test_while_it_refuses_it_is_asked_once_in_a_cooldown_and_no_more() -> None:
    rules, spacing_s = shipped()
    day = as_shipped()
    refused = [at for at, good in day.calls if not good]
    after = [at for at, _ in day.calls]
    for at in refused:
        following = [later for later in after if later > at]
        assert not following or (following[0] - at).total_seconds() >= rules.cooldown_s
    gaps = [(later - at).total_seconds() for at, later in pairwise(after)]
    assert min(gaps) >= spacing_s
    assert len(refused) <= (UNTIL + SILENCE - REFUSES).total_seconds() / rules.cooldown_s + 1


def test_its_breaker_opens_probes_and_closes_and_health_says_so() -> None:
    day = as_shipped()
    states = [breaker for _, _, breaker in day.goes]
    assert states[0] == "open"
    assert states[-1] == "closed"
    assert day.attempts["breaker"].unique().sort().to_list() == ["closed", "open", "probing"]
    found = health_row(day)
    refused = sum(not good for _, good in day.calls)
    assert found["rate_limit_count"] == found["failure"] == refused >= 5
    assert found["success"] == len(COMPANIES)
    assert (found["breaker"], found["good"], found["fetch_latency_p95_s"]) == ("closed", True, 1.5)


def test_after_it_recovered_what_was_left_is_asked_within_a_cooldown() -> None:
    rules, _ = shipped()
    day = as_shipped()
    recovered = max(at for at, good in day.calls if not good) + SILENCE
    answered = [at for at, good in day.calls if good and at > REFUSES]
    assert (max(answered) - recovered).total_seconds() < rules.cooldown_s + EVERY.total_seconds()


def test_without_a_breaker_each_early_question_makes_the_silence_longer() -> None:
    ours, other = as_shipped(), without_breaker()
    assert other.goes[-1][1] == 4
    assert len(other.calls) > 10 * sum(at < FIRST_HOURS for at, _ in ours.calls)


def test_the_page_of_news_tells_of_it() -> None:
    text = PAGE.read_text()
    inside = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert inside == page(), f"python -m {__name__} --renew, and read the diff"


def renew() -> None:
    """Write the table anew."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + "\n".join([BEGIN, "", *page(), "", END]) + rest.partition(END)[2])


if __name__ == "__main__" and "--renew" in sys.argv:
    renew()
