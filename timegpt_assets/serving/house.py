"""A house to be read: one method for each stored table, for notebooks and other programs. Nothing is ever written.

Belongs here: opening one, what its methods are called and say of themselves, and what lies there at a glance.
"""

import json
import shlex
import textwrap
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.schema import TIME, Column
from timegpt_assets.core.tables.stored import STORED, Stored
from timegpt_assets.runtime import Runtime, environment, load_runtime
from timegpt_assets.serving.question import Names, ReadingError, When, first_and_last, several
from timegpt_assets.serving.scan import LINEAGE, Scan
from timegpt_assets.serving.trace import traced

WHO = ("forecaster", "book")
"""Columns that say whose rows they are: a table that has one can be asked for somebody's."""

_VERBS = {"promotion": "evaluate", "grid_days": "sweep", "trading_grid": "sweep"} | {
    f"search_stage_{n}": "search" for n in (1, 2, 3)
}
"""The verbs that make what no day makes."""


class House:
    """The stored tables of one profile, each a method that returns a polars LazyFrame; ``tables()`` says what is there.

    Made by ``timegpt_assets.open``. Every method takes ``start`` and ``end``, both included, and ``symbols``,
    ``forecaster`` or ``book`` where the table has such a column; what is left out is not narrowed.
    """

    def __init__(self, runtime: Runtime, said: str = "") -> None:
        """Keep the runtime; opening reads no table. ``said``: the options with which a command works in this house."""
        self._runtime, self._store, self._said = runtime, ParquetStore(runtime.storage), said

    @property
    def settings(self) -> Settings:
        """Return the settings of the profile, as the command line uses them."""
        return self._runtime.settings

    def tables(self) -> pl.DataFrame:
        """Return [table, asset, files, first, last] of every table that has a file: days, or months of monthly ones."""
        found = [(one, self._store.files(one.asset)) for one in STORED.values()]
        rows = [(one.name, one.asset, len(files), files[0], files[-1]) for one, files in found if files]
        schema = {"table": pl.String, "asset": pl.String, "files": pl.Int64, "first": pl.String, "last": pl.String}
        return pl.DataFrame(rows, schema, orient="row")

    def trace(self, row: Mapping[str, Any] | pl.DataFrame) -> pl.DataFrame:
        """Return what a stored row was made from, nearest first, down to the bars.

        ``row``: one row as a dict, or a frame of one row, with its ``lineage_id``. The frame returned is
        [what, id, made_by, lies_at]: a line for each asset on the way (its lineage id, the code that made it, its file
        of the row's day), one for the request with its bytes in the cache, and one for the source of the bars.
        """
        return traced(self._runtime, self._store, row)

    def __getattr__(self, name: str) -> Callable[..., pl.LazyFrame]:
        """Refuse what is no table, and say which there are."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(f"there is no table {name}. {did_you_mean(name, STORED)}Tables are {', '.join(STORED)}.")

    def __repr__(self) -> str:
        """Return profile, storage root, and every table that is there with its days."""
        there = self.tables()
        head = f"House of profile {self.settings.profile}, stored in {self._store.objects.shown('').rstrip('/')}"
        if there.is_empty():
            return f"{head}\nNothing is stored there yet. {self._begin()}"
        wide = max(len(name) for name in there["table"])
        spans = {"day": "days", "month": "months"}
        lines = [
            f"  {name:{wide}}  {files:>5} {spans[STORED[name].span]:6}  {first} to {last}"
            for name, _, files, first, last in there.iter_rows()
        ]
        return "\n".join([head, *lines])

    def _command(self, verb: str) -> str:
        """Return the command line of a verb in this house."""
        profile = "" if verb == "demo" else f" --profile {self.settings.profile}"
        return f"timegpt-assets {verb}{profile}{self._said}"

    def _begin(self, stored: Stored | None = None) -> str:
        """Return which command makes something of a table, or of everything that a day makes."""
        if stored and (verb := _VERBS.get(stored.name)):
            return f"Make it: {self._command(verb)}"
        if self.settings.profile == "demo":
            return f"Make it: {self._command('demo')}"
        return f"Make a session of it: {self._command('run-day DAY')}"

    def _rows(
        self, stored: Stored, *, start: When = None, end: When = None, symbols: Names = None, **who: Names
    ) -> pl.LazyFrame:
        """Return the rows asked for as a lazy frame. Raises ReadingError where there are none to be asked for."""
        first, last = first_and_last(start, end)
        there = self._store.files(stored.asset)
        month = slice(len("YYYY-MM")) if stored.span == "month" else slice(None)
        files = [file for file in there if first.isoformat()[month] <= file <= last.isoformat()[month]]
        if not files:
            raise ReadingError(self._nothing(stored, there, start, end))
        narrowed = {column: names for column in who if (names := several(column, who[column]))}
        scan = Scan(store=self._store, stored=stored, files=files, symbols=several("symbols", symbols), who=narrowed)
        self._refuse_strangers(scan)
        return scan.lazily()

    def _nothing(self, stored: Stored, there: list[str], start: When, end: When) -> str:
        """Return what is said where no file is of the range: what there is, and the command that makes it."""
        root = self._store.objects.shown(stored.asset)
        if not there:
            return f"Nothing is stored of {stored.name} yet (looked in {root}). {self._begin(stored)}"
        span, bounds = stored.span, f"from {start or 'the first'} to {end or 'the last'}"
        return (
            f"{stored.name} has no {span} {bounds}: {len(there)} {span}s from {there[0]} to {there[-1]} are stored in "
            f"{root}. Ask for some of these, or make others: {self._others(stored, start, end)}"
        )

    def _others(self, stored: Stored, start: When, end: When) -> str:
        """Return the command that makes the days of a range."""
        verb = _VERBS.get(stored.name, f"backfill --assets {stored.name}")
        if verb == "search":
            return self._command(verb)
        first, last = first_and_last(start, end)
        return self._command(
            f"{verb} --start {last if start is None else first} --end {first if end is None else last}"
        )

    def _refuse_strangers(self, scan: Scan) -> None:
        """Raise ReadingError for symbols that neither the universe nor any row asked for knows."""
        universe = self.settings.universe
        known = {*universe.tickers, *universe.context}
        if not (strange := [name for name in scan.symbols or () if name not in known]):
            return
        # a symbol that left the universe still has its rows: only now is anything read
        there = scan.symbols_there()
        for name in strange:
            if name not in there:
                raise ReadingError(
                    f"{name} is no symbol of profile {self.settings.profile}, nor has it a row in {scan.stored.name}. "
                    f"{did_you_mean(name, known | there)}There are {', '.join(sorted(known | there))}."
                )


def opened(profile: str | None, config_dir: str | Path | None, settings: Mapping[str, Any] | None) -> House:
    """Return the house of a profile, its settings layered as the command line's. Raises ConfigError."""
    if not isinstance(profile, str | None) or not isinstance(settings, Mapping | None):
        raise ReadingError(
            f'profile is {profile!r} and settings are {settings!r}. Give a name like "demo" and a mapping like '
            '{"data.storage_root": "/elsewhere/tables"}.'
        )
    environ = environment()
    if config_dir is not None:
        environ["TIMEGPT_ASSETS_CONFIG_DIR"] = str(config_dir)
    # values as YAML, as --set reads them; JSON is YAML
    said = [f"{key}={json.dumps(value, default=str)}" for key, value in (settings or {}).items()]
    options = "".join(f" --set {shlex.quote(one)}" for one in said)
    return House(load_runtime(said, profile=profile, environ=environ), options)


def _asked_by(stored: Stored) -> Signature:
    """Return the signature of a table's method: the range, and what its columns can be narrowed by."""
    columns = stored.table.columns
    names = ["start", "end", *(["symbols"] if "symbol" in columns else []), *(who for who in WHO if who in columns)]
    types = {"start": When, "end": When}
    return Signature(
        [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            *(
                Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=types.get(name, Names))
                for name in names
            ),
        ],
        return_annotation=pl.LazyFrame,
    )


def _said_of(stored: Stored) -> str:
    """Return the docstring of a table's method: what a row is, how to ask, and every column with its meaning."""
    table, names = stored.table, list(_asked_by(stored).parameters)[3:]
    asked = '``start`` and ``end`` are days, both included: a date, a datetime or "2025-03-12"; also "2025-03".'
    narrowed = f" {', '.join(f'``{name}``' for name in names)}: a name or a list of names." if names else ""
    columns = [
        textwrap.fill(
            f"{name} ({_dtype(column)}{', may be null' if column.nullable else ''}): {column.meaning}",
            width=100,
            initial_indent="    ",
            subsequent_indent="        ",
        )
        for name, column in table.columns.items()
    ]
    further = ["    and further columns: see collect_schema()"] if table.open else []
    return "\n".join(
        [
            f"Return the stored rows of {stored.name}, one for each {', '.join(table.key)}, as a polars LazyFrame.",
            "",
            textwrap.fill(f"{asked}{narrowed} A file holds one {stored.span}; nothing is read before collect().", 100),
            "",
            "Columns:",
            *columns,
            *further,
            f"    {LINEAGE} (String): what the row was made from; see trace()",
        ]
    )


def _dtype(column: Column) -> str:
    return "Datetime, UTC" if column.dtype == TIME else str(column.dtype)


def _method(stored: Stored) -> Callable[..., pl.LazyFrame]:
    """Return the method of a table."""
    signature = _asked_by(stored)

    def rows(self: House, /, *args: Any, **named: Any) -> pl.LazyFrame:
        try:
            bound = dict(signature.bind(self, *args, **named).arguments)
        except TypeError as error:
            raise TypeError(f"{stored.name}: {error}. It takes {', '.join(list(signature.parameters)[1:])}.") from None
        del bound["self"]
        return self._rows(stored, **bound)

    rows.__name__, rows.__qualname__, rows.__module__ = stored.name, f"House.{stored.name}", __name__
    rows.__doc__, rows.__signature__ = _said_of(stored), signature  # type: ignore[attr-defined]  # inspect reads it
    return rows


for _stored in STORED.values():
    setattr(House, _stored.name, _method(_stored))
