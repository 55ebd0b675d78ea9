"""Seconds and memory of a day of news through its layers, on one core: normalise, link, cluster, quality, project.

Run: ``python -m timegpt_assets_tests.benchmarks.news_layers [ARTICLES...]``. Articles are made up as GDELT's search
delivers them, about companies that are named in configs/news_aliases.csv: most stories are told once, some by hundreds.
The session before has as many, since a day sees it, too. Each size is a process of its own, so that memory is its own;
goal: 50,000 articles under 60 s and 1 GB, and twice the articles twice the time.
"""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

SIZES = (12_500, 25_000, 50_000)
DAY = date(2018, 3, 7)
PER_BODY = 250
VERBS = ("rises", "falls", "jumps", "slips", "gains", "drops", "climbs", "sinks")
TOPICS = ("profit", "revenue", "shares", "outlook", "dividend", "output", "costs", "orders", "sales", "debt")
PLOTS = (
    "{a} {topic} {verb} {n}% on {thing}", "{a} to buy {b} unit for ${n} billion", "{a} sues {b} over {thing}",
    "{a} recalls {n},000 {thing}", "{a} to cut {n}00 jobs in {place}", "{a} opens {thing} plant in {place}",
    "{a}'s {thing} chief leaves for {b}", "Regulators probe {a} over {thing} in {place}",
    "{place} court rules on {a} and {b} {thing} case", "{thing} shortage in {place} hits {n} factories",
    "Storm in {place} closes {n} {thing} stores", "{place} minister meets makers of {thing} after {n} days",
)  # fmt: skip
SUFFIXES = ("", "", "", " - Reuters", " | CNBC", " - Bloomberg", "...", ".")
"""What other sites make of a title."""


def main(sizes: Sequence[int]) -> None:
    """Print the table."""
    print("articles   normalise  link  cluster  quality  project     all s  twice   peak MB   stories")
    before = None
    for size in sizes:
        found = _measured(size)
        spent = sum(found["s"].values())
        ratio = f"{spent / before:6.2f}" if before else "      "
        parts = "  ".join(f"{found['s'][name]:7.1f}" for name in ("normalise", "link", "cluster", "quality", "project"))
        print(f"{size:8,}  {parts}  {spent:8.1f} {ratio} {found['mb']:9.0f} {found['stories']:9,}")
        before = spent


def _measured(size: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else "", "once", str(size)]
    one_thread = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_thread)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _once(size: int) -> None:
    import polars as pl

    from timegpt_assets.adapters.news.aliases import names
    from timegpt_assets.config.news_inputs import clock_spec, cluster_spec, quality_spec
    from timegpt_assets.config.settings import load_settings
    from timegpt_assets.core import calendar
    from timegpt_assets.core.news.cluster import clustered
    from timegpt_assets.core.news.formats import gdelt_doc
    from timegpt_assets.core.news.link import linked
    from timegpt_assets.core.news.normalise import normalised
    from timegpt_assets.core.news.project import projected
    from timegpt_assets.core.news.quality import scored
    from timegpt_assets.core.tables.news import RAW_NEWS

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    settings = load_settings(profile="demo", config_dir=None, environment={})
    spent: dict[str, float] = {}

    def timed(name: str, made: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = made()
        spent[name] = time.process_time() - began
        return found

    directory = names(None, settings.universe.tickers)
    called = sorted(directory.as_of(DAY).called.values())
    readers, clock = {"gdelt_doc": lambda answer: gdelt_doc.told(answer.body)}, clock_spec(settings)
    read = lambda day: normalised(_bodies(size, day, called), readers=readers, clock=clock, days=[day]).frame  # noqa: E731
    about = lambda events: linked(events, directory, min_confidence=settings.news.min_confidence)  # noqa: E731
    before = calendar.shifted(DAY, -1)
    yesterday = read(before)
    links, told = about(yesterday), clustered(yesterday, days=[before], spec=cluster_spec(settings))
    today = timed("normalise", lambda: read(DAY))
    links = pl.concat([links, timed("link", lambda: about(today))])
    both = pl.concat([yesterday, today])
    clusters = timed("cluster", lambda: clustered(both, days=[DAY], spec=cluster_spec(settings)))
    worth = timed(
        "quality", lambda: scored(both, links, pl.concat([told, clusters]), days=[DAY], spec=quality_spec(settings))
    )
    asked = pl.DataFrame([{"day": DAY, "source": "gdelt_doc", "asked": "all"}], schema=RAW_NEWS.schema)
    timed("project", lambda: projected(worth, asked, days=[DAY], symbols=settings.universe.tickers))
    print(json.dumps({"s": spent, "mb": _peak_mb(), "stories": clusters["cluster_id"].n_unique()}))


def _bodies(size: int, day: date, companies: Sequence[str]) -> Iterator[Any]:
    """Yield answers of GDELT's search of the articles of a day: a story in ten is told again and again."""
    from timegpt_assets.core.news.delivered import Delivered
    from timegpt_assets.core.news.windows import window

    draw = random.Random(f"{size} {day}")
    after, by = window(day)
    titles = _titles(size, draw, companies)
    span = (by - after).total_seconds() - 3600
    for start in range(0, size, PER_BODY):
        articles = [
            {
                "url": f"https://news.example/{day}/{start + n}",
                "title": title,
                "seendate": f"{after + timedelta(seconds=1800 + span * (start + n) / size):%Y%m%dT%H%M%SZ}",
            }
            for n, title in enumerate(titles[start : start + PER_BODY])
        ]
        body = json.dumps({"articles": articles}).encode()
        name = hashlib.sha256(body).hexdigest()
        yield Delivered(source="gdelt_doc", asked=name, fetched_at=by, content_hash=name, body=body)


def _titles(size: int, draw: random.Random, companies: Sequence[str]) -> list[str]:
    things = [f"{word}{end}" for word in ("turb", "sens", "batt", "val", "cab", "lens", "rot", "pan") for end in
              ("ines", "ors", "eries", "ves", "les", "es", "els", "ums")]  # fmt: skip
    places = ("Ohio", "Texas", "Peru", "Kenya", "Leeds", "Osaka", "Lyon", "Perth", "Quito", "Malmo", "Goa", "Bonn")
    stories: list[str] = []
    told: list[str] = []
    while len(told) < size:
        plot = draw.choice(PLOTS)
        a, b = draw.sample(list(companies), 2)
        words = {"verb": draw.choice(VERBS), "topic": draw.choice(TOPICS), "thing": draw.choice(things)}
        stories.append(plot.format(a=a, b=b, n=draw.randint(2, 99), place=draw.choice(places), **words))
        copies = min(int(draw.paretovariate(1.1)), 500)
        told += [f"{stories[-1]}{draw.choice(SUFFIXES)}" for _ in range(copies)]
    draw.shuffle(told)
    return told[:size]


def _peak_mb() -> float:
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        _once(int(sys.argv[2]))
    else:
        main([int(size) for size in sys.argv[1:]] or SIZES)
