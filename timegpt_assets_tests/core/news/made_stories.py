"""Made-up stories for the test of near duplicates: each told by several desks, beside others that look like it.

Belongs here: reading them from fixtures/made_stories.txt, the copies that are made of them, and how many pairs of
titles are found to tell the same. All titles are written for this set; figures and many companies are invented.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from timegpt_assets_tests.core.news.normalized_made import event, stories

FIXTURE = Path(__file__).parents[2] / "fixtures" / "made_stories.txt"
Story = tuple[tuple[str, ...], tuple[str, ...]]
"""How desks tell one story, and titles that look like it and tell others, each its own."""
SUFFIXES = (" - Reuters", " | CNBC", " - Bloomberg", " - WSJ", " -sources", " – The Guardian")
PREFIXES = ("UPDATE 1-", "UPDATE 2-", "BRIEF-", "Exclusive: ", "BREAKING: ")


@dataclass(frozen=True, slots=True)
class Measure:
    """Of pairs of titles in one cluster the share that tells the same, and of pairs that do the share in one."""

    precision: float
    recall: float

    def __str__(self) -> str:
        return f"precision {self.precision:.3f}, recall {self.recall:.3f}"


@dataclass(frozen=True, slots=True)
class Made:
    """One title, and which story it tells."""

    story: str
    title: str


def stories_of(part: str) -> list[Story]:
    """Return the stories of a part of the fixture: developed on, or held back from that."""
    _, _, text = FIXTURE.read_text().partition(f"# {part}\n")
    blocks = [block.split("\n") for block in text.partition("\n# ")[0].strip().split("\n\n")]
    return [
        (tuple(one for one in block if one[0] != "!"), tuple(one[2:] for one in block if one[0] == "!"))
        for block in blocks
    ]


def made(stories: Sequence[Story], *, copies: int, seed: int) -> list[Made]:
    """Return every title of some stories and ``copies`` of each telling, shuffled."""
    draw = random.Random(seed)
    titles = []
    for number, (tellings, others) in enumerate(stories):
        titles += [Made(f"{number}", title) for title in tellings]
        titles += [Made(f"{number}", copy) for title in tellings for copy in _copies(title, copies, draw)]
        titles += [Made(f"{number} other {at}", title) for at, title in enumerate(others)]
    draw.shuffle(titles)
    return titles


def _copies(title: str, count: int, draw: random.Random) -> Iterator[str]:
    """Yield copies as other sites print them: other case, dashes, marks of a desk, cut off at the end."""
    ways = (
        lambda: title + draw.choice(SUFFIXES),
        lambda: draw.choice(PREFIXES) + title,
        lambda: title.upper(),
        lambda: title.lower(),
        lambda: " ".join(word[:1].upper() + word[1:] for word in title.split()),
        lambda: title.replace(", ", " - ") + ".",
        lambda: title.replace("'", "’").replace("-", " "),
        lambda: title[: int(len(title) * 0.85)] + "...",
    )
    for way in draw.sample(ways, count):
        yield way()


def measured(part: str, *, seed: int = 1) -> tuple[Measure, Measure]:
    """Return what is found of a part's stories within an hour or so: as each title came, and as known at the end.

    What is known at the end is what each title is told to be that is told a second time, when all are.
    """
    titles = made(stories_of(part), copies=3, seed=seed)
    twice = [event(one.title, n / 60, f"{n:05d}") for n, one in enumerate([*titles, *titles])]
    found = stories(*twice).sort("event_id").with_columns(story=pl.Series([one.story for one in titles] * 2))
    return _measure(found.head(len(titles))), _measure(found.tail(len(titles)))


def _measure(found: pl.DataFrame) -> Measure:
    right, alike, same = (
        found.group_by(keys).len().select((pl.col("len") * (pl.col("len") - 1)).sum()).item()
        for keys in (["story", "cluster_id"], ["cluster_id"], ["story"])
    )
    return Measure(right / alike, right / same)
