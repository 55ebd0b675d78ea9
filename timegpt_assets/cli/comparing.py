"""What `compare` does: the forecasters of a range beside each other, or two runs that were made before.

Belongs here: which run is meant, what is read of it, and what is printed. How sides are set side by side is
reports/runs.py.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.settings import PROFILES
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.evaluation.two_runs import Run, differences
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.engine.stages import Refused
from timegpt_assets.reports import runs as sides
from timegpt_assets.reports.figures import champion_first
from timegpt_assets.reports.pictures.equity import equity
from timegpt_assets.runtime import Runtime, load_runtime

ABOUT = ("about", "headline", "data quality")
"""Sections of the table report whose figures are set side by side."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A report that was made: what its settings.json says, and where its tables lie."""

    name: str
    month: str
    champion: str
    settings: Mapping[str, str]
    days: Sequence[date]
    """The sessions the report looks back on."""
    tables: ParquetStore

    def run(self) -> Run:
        """Return what is compared row by row."""
        read = partial(self.tables.read, days=self.days, missing="ok", empty=pl.DataFrame())
        return Run(scores=read("evaluation/day_scores"), portfolio=read("backtest/portfolio"), sessions=self.days)

    def side(self) -> sides.Side:
        """Return its column: settings, and the figures of the table report."""
        stored = self.tables.read("reports/report", [self.month], missing="ok", empty=pl.DataFrame())
        rows = stored.sort("position").iter_rows(named=True) if stored.height else ()
        figures = {row["name"]: row["value"] for row in rows if row["section"] in ABOUT}
        return sides.Side(name=self.name, settings=self.settings, figures=figures)


def found(text: str, runtime: Runtime, settings: Sequence[str]) -> Made:
    """Return the run that is meant by a profile, a month, both (``demo:2025-02``), or the folder of a report.

    Raises Refused for one that is not there, with those that are.
    """
    if (Path(text).expanduser() / sides.SETTINGS).is_file():
        folder = Path(text).expanduser().resolve()
        return _made(text, runtime.object_store(str(folder)), sides.SETTINGS, runtime)
    profile, _, month = text.rpartition(":") if ":" in text else _either(text)
    of = load_runtime(settings, profile=profile) if profile else runtime
    place = f"reports/{of.settings.profile}/"
    months = [name.split("/")[2] for name, _ in of.artifacts.names(place) if name.endswith(f"/{sides.SETTINGS}")]
    chosen = month or max(months, default="")
    if chosen not in months:
        raise Refused(
            f"{text}: no report of {chosen or 'any month'} lies in {of.artifacts.shown(place)}; there "
            f"{'is one of ' + ', '.join(months) if months else 'are none'}. Make it with timegpt-assets report "
            f"--profile {of.settings.profile}, or name the folder of another report."
        )
    return _made(f"{of.settings.profile}:{chosen}", of.artifacts, f"{place}{chosen}/{sides.SETTINGS}", of)


def _either(text: str) -> tuple[str, str, str]:
    """Return profile and month of a word that is one of them. Raises Refused."""
    if text in PROFILES:
        return text, "", ""
    if len(text) == 7 and text[:4].isdecimal() and text[4] == "-" and text[5:].isdecimal():
        return "", "", text
    raise Refused(
        f"{text} is no run: say a profile ({', '.join(PROFILES)}), a month (YYYY-MM), both as profile:month, or a "
        f"folder that holds a report's {sides.SETTINGS}."
    )


def _made(name: str, objects: ObjectStore, place: str, runtime: Runtime) -> Made:
    read = objects.read(place)
    try:
        known = orjson.loads(read.data if read else b"")
        said = {key: known[key] for key in ("month", "champion", "settings")}
        days = [date.fromisoformat(day) for day in known["sessions"]]
        settings = {key: str(one["value"]) for key, one in said["settings"].items()}
        tables = ParquetStore(runtime.object_store(str(known["storage"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f"{objects.shown(place)} says nothing of a run. Make it again: timegpt-assets report --force."
        ) from error
    return Made(name=name, month=said["month"], champion=said["champion"], settings=settings, days=days, tables=tables)


def runs(first: str, other: str, runtime: Runtime, settings: Sequence[str], *, as_json: bool) -> None:
    """Set two runs side by side: print the differences and write their page."""
    pair = [found(text, runtime, settings) for text in (first, other)]
    asked = strategy_inputs.terms(runtime.settings)
    own, against = (made.run() for made in pair)
    rows = differences(own, against, Sampling(draws=asked.draws, cluster_days=asked.cluster_days))
    told = [
        sides.Difference(
            first=f"{row['forecaster']} in {pair[0].name}", against=f"{row['forecaster']} in {pair[1].name}", row=row
        )
        for row in rows.iter_rows(named=True)
    ]
    columns = [made.side() for made in pair]
    title = f"{pair[0].name} against {pair[1].name}"
    picture = partial(_books, pair, (own, against))
    name = f"reports/compare/{_plain(pair[0].name)}_{_plain(pair[1].name)}.html"
    runtime.artifacts.update(name, lambda _: sides.page(title, columns, told, picture).encode())
    _show(columns, told, runtime.artifacts.shown(name), title, as_json=as_json)


def _books(pair: Sequence[Made], both: Sequence[Run]) -> Any:
    """Return the picture of each run's champion, under the run's name."""
    parts = [
        sides.named(run.portfolio, made.champion, made.name)
        for made, run in zip(pair, both, strict=True)
        if run.portfolio.height
    ]
    days = sorted({day for run in both for day in run.sessions})
    return equity(pl.concat(parts), days=days, seats=[made.name for made in pair])


def _plain(name: str) -> str:
    """Return a name as part of a file's."""
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name).strip("-.")[-60:] or "run"


def _show(
    columns: Sequence[sides.Side], told: Sequence[sides.Difference], page: str, title: str, *, as_json: bool
) -> None:
    differing = sides.differing(columns)
    if as_json:
        said = {
            "runs": [column.name for column in columns],
            "sentence": sides.sentence(told),
            "differences": [asdict(one) for one in told],
            "settings": differing,
            "figures": {column.name: dict(column.figures) for column in columns},
            "page": page,
        }
        sys.stdout.write(orjson.dumps(said, default=str).decode() + "\n")
        return
    out = Terminal()
    for head, rows, name in (
        (("key", *(column.name for column in columns)), differing, "what differs in the settings"),
        (("figure", *(column.name for column in columns)), sides.figures(columns), "figures side by side"),
        (sides.HEAD, [one.told() for one in told], title),
    ):
        if not rows:
            continue
        table = Table(head, title=name)
        for row in rows:
            table.add(*("–" if cell is None else _cell(cell) for cell in row))
        out.print(table)
    out.print(sides.sentence(told), soft_wrap=True)
    out.print(sides.same(columns), soft_wrap=True)
    out.print(f"page: {page}", soft_wrap=True)


def _cell(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def forecasters(runtime: Runtime, days: Sequence[date]) -> None:
    """Write the page of the last month's forecasters beside each other, where there is a pair, and say where it is."""
    month, store = f"{days[-1]:%Y-%m}", ParquetStore(runtime.storage)
    read = partial(store.read, missing="ok", empty=pl.DataFrame())
    pairs, costs = read("evaluation/comparison", [month]), read("evaluation/cost_sensitivity", [month])
    if pairs.is_empty():
        return
    told = sides.pairs_of(pairs)
    champion = runtime.settings.forecast.champion
    seats = champion_first({*pairs["forecaster"], *pairs["against"]}, champion)
    columns = [sides.Side(name=name, figures=sides.book_figures(costs, name)) for name in seats]
    books = read("backtest/portfolio", days)
    picture = partial(
        equity, books.filter(pl.col("book") != LIVE) if books.height else PORTFOLIO.empty(), days=days, seats=seats
    )
    title = f"Forecasters of {month}, profile {runtime.settings.profile}"
    name = f"reports/{runtime.settings.profile}/{month}/forecasters.html"
    runtime.artifacts.update(name, lambda _: sides.page(title, columns, told, picture).encode())
    Terminal(stderr=True).print(f"page: {runtime.artifacts.shown(name)}", soft_wrap=True)
