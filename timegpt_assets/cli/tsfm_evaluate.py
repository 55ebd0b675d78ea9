"""The offline evaluation of the bands: what is stored judged on held-out days and events, printed, and a page of it.

Belongs here: what is read, printed and written. What is held out and measured is core/tsfm/evaluation.py, what the page
says reports/tsfm.py.
"""

import hashlib
import sys
from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters.storage import moves
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tables.tsfm import TSFM_OUTCOMES
from timegpt_assets.core.tsfm import evaluation, holdout
from timegpt_assets.engine.stages import Refused
from timegpt_assets.reports import tsfm as told
from timegpt_assets.runtime import Runtime


def evaluate(runtime: Runtime, start: date | None, end: date | None, *, as_json: bool) -> None:
    """Judge the bands of the stored UTC days from ``start`` to ``end`` (none: all), print it, and write its page.

    Raises Refused where nothing is stored, or too little to learn from.
    """
    found = evaluated(runtime, _outcomes(runtime, start, end))
    page = _written(runtime, found)
    if as_json:
        sys.stdout.write(orjson.dumps(_plain(found, page), default=str).decode() + "\n")
        return
    _show(found, page)


def evaluated(runtime: Runtime, outcomes: pl.DataFrame) -> told.Evaluated:
    """Return the evaluation of these TSFM_OUTCOMES. Raises Refused where nothing could be learnt."""
    spec = tsfm_inputs.evaluation_spec(runtime.settings)
    rows = evaluation.with_and_without_floor(outcomes, spec)
    first, last = (date.fromisoformat(str(outcomes["day"].unique().sort()[place])) for place in (0, -1))
    first_held = holdout.first_held_day(outcomes, spec.time_share)
    if rows.is_empty() or first_held is None:
        learnt = spec.conformal
        raise Refused(
            f"{outcomes.height:,} prices are stored of {first} to {last}, and before none of the held-out days were "
            f"there {learnt.min_samples:,} of one step in {learnt.window_days} days (tsfm.conformal.min_samples, "
            "rolling_window_days): no band can be adjusted, and nothing judged. Make more days: timegpt-assets tsfm "
            "replay --start DAY --end DAY, or ask for less: --set tsfm.conformal.min_samples=50."
        )
    return told.Evaluated(
        profile=runtime.settings.profile,
        rows=rows,
        spec=spec,
        first_day=first,
        last_day=last,
        first_held=first_held,
        prices=outcomes.height,
        fallbacks=float(outcomes["fallback_used"].mean()),  # type: ignore[arg-type]  # there are rows
        widened=1 - evaluation.above_floor(outcomes, spec.min_width).height / outcomes.height,
        categories=holdout.of_categories(outcomes, holdout.held_events(outcomes, spec.event_share)),
    )


def _outcomes(runtime: Runtime, start: date | None, end: date | None) -> pl.DataFrame:
    store, hours = ParquetStore(runtime.storage), runtime.settings.tsfm.evaluation.follow_through_hours
    there = store.files(moves.OUTCOMES)
    days = [date.fromisoformat(day) for day in there if str(start or "") <= day <= str(end or "9999")]
    found = moves.outcomes(store, days, TSFM_OUTCOMES.empty(), follow_through_hours=hours)
    if found.is_empty():
        which = f"; there are {there[0]} to {there[-1]}" if there else ""
        raise Refused(
            f"no price that was forecast is stored of {start or 'any day'} to {end or 'today'}{which}. Make UTC days "
            "of prediction markets first: timegpt-assets tsfm replay --start DAY --end DAY, or watch a venue: "
            "timegpt-assets tsfm cycle."
        )
    return found


def _written(runtime: Runtime, found: told.Evaluated) -> str:
    """Write the page under a name that tells its contents, and return where it lies: no page replaces another."""
    data = told.page(found).encode()
    digest = hashlib.sha256(data).hexdigest()[:8]
    name = f"reports/{found.profile}/tsfm-evaluation_{found.first_day}_{found.last_day}_{digest}.html"
    if not runtime.artifacts.write_new(name, data):
        there = runtime.artifacts.read(name)
        if there is None or there.data != data:
            place = runtime.artifacts.shown(name)
            raise Refused(f"{place} was changed by somebody and is left as it is. Move it away, and evaluate again.")
    return runtime.artifacts.shown(name)


def _plain(found: told.Evaluated, page: str) -> dict[str, Any]:
    return {
        "profile": found.profile,
        "first_day": found.first_day,
        "last_day": found.last_day,
        "first_held_day": found.first_held,
        "prices": found.prices,
        "holds": told.holds(found),
        "verdict": told.verdict(found),
        "failed_segments": [dict(zip(told.FAILED_HEAD, row, strict=True)) for row in told.failed(found)],
        "categories": {name: {"events": n, "held_out": held} for name, (n, held) in found.categories.items()},
        "rows": found.rows.to_dicts(),
        "page": page,
    }


def _show(found: told.Evaluated, page: str) -> None:
    out, level = Terminal(), f"{found.spec.conformal.target:.0%}"
    tables = (
        (f"{found.profile}: bands that promise {level}, {found.first_day} to {found.last_day}", told.HEAD,
         told.table(found)),
        ("segments further off than the tolerance, after conformal", told.FAILED_HEAD, told.failed(found)),
    )  # fmt: skip
    for title, head, rows in tables:
        if rows:
            table = Table(head, title=title)
            for row in rows:
                table.add(*map(_cell, row))
            out.print(table)
    for said in (told.verdict(found), told.basis(found), f"page: {page}"):
        out.print(said, soft_wrap=True)


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
