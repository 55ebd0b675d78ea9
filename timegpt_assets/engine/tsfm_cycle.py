"""One cycle of the live markets: who is traded now, what prices lack, and today's tables made again from what is kept.

Belongs here: the order of things, and which failure ends a cycle. The tape is adapters/prediction_markets/tape.py, what
runs is engine.py. A cycle may be killed anywhere and asked for again: what it kept stands, and nothing is kept twice.
"""

import fcntl
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.prediction_markets.asking import VenueFailed
from timegpt_assets.adapters.prediction_markets.source import MarketSource
from timegpt_assets.adapters.prediction_markets.tape import Tape
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.tsfm.selection import selection
from timegpt_assets.engine.engine import Engine, Outcome
from timegpt_assets.engine.stages import Refused
from timegpt_assets.engine.tsfm import CLOSED, looked_at_again, utc_rectangle

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What a cycle did: its moment, markets told of, tokens whose history was fetched, days made again, and the runs.

    ``is_new``: nobody had looked at this moment before. ``lacking``: why the history of some could not be had.
    """

    at: datetime
    is_new: bool
    markets: int
    selected: int
    fetched: int
    lacking: str
    days: Sequence[date]
    outcome: Outcome


def moment(settings: Settings, now: datetime) -> datetime:
    """Return the cycle that ``now`` lies in, UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(minutes=settings.tsfm.cycle_min)
    return midnight + (now - midnight) // step * step


def cycle(engine: Engine, source: MarketSource, tape: Tape) -> Cycle:
    """Return what came of the cycle of now.

    Raises Refused where the source is no live one, VenueFailed and TapeDamaged where the markets or the prices of all
    that are selected cannot be had, RunFailed.
    """
    settings, now = engine.runtime.settings, engine.runtime.clock
    if not source.live:
        raise Refused(
            "tsfm.markets.source is files, which tell of the past. Replay them: timegpt-assets tsfm replay, or watch "
            "a venue: --set tsfm.markets.source=polymarket."
        )
    at = moment(settings, now())
    there = tape.markets(at)
    markets = tape.keep_markets(at, source.snapshot(at), taken_at=now()) if there is None else there
    chosen = selection(markets, tsfm_inputs.selection_spec(settings), tsfm_inputs.segment_spec(settings))
    tokens = markets.join(chosen.filter("selected"), on="market_id", how="semi")["token_id"].to_list()
    fetched, why = _fetched(engine, source, tape, at, tokens)
    days = looked_at_again(engine.runtime.storage, settings, tape, at.date())
    # months once a day, when one has ended: in each cycle they would be read whole for a few prices more
    rectangle = utc_rectangle(engine, settings, days, tape=tape, force=True, with_months=len(days) > 1)
    outcome = engine.run(rectangle)
    for day in days[:-1]:
        engine.runtime.storage.write_new(f"{CLOSED}{day}", b"")
    return Cycle(
        at=at,
        is_new=there is None,
        markets=markets.height,
        selected=len(tokens),
        fetched=fetched,
        lacking=why,
        days=days,
        outcome=outcome,
    )


def _fetched(engine: Engine, source: MarketSource, tape: Tape, at: datetime, tokens: Sequence[str]) -> tuple[int, str]:
    """Fetch what the tape lacks of these tokens' prices; return of how many, and why not of the others.

    Raises VenueFailed where it lacks those of all and none can be had: a venue that is silent looks like one that is
    well, and forecasts without a past would be made up.
    """
    settings, fetched, without, why = engine.runtime.settings, 0, 0, ""
    reach = timedelta(minutes=settings.tsfm.series.input_len_steps * settings.tsfm.series.freq_min)
    since = defaultdict(list)
    for token, first in tape.lacking(tokens, at, reach).items():
        since[first].append(token)
    for first, own in sorted(since.items()):
        try:
            prices = source.prices(own, first, at)
        except VenueFailed as failed:
            without, why = without + len(own), str(failed)
            if without == len(tokens):
                raise
            _LOG.warning("%d of %d markets get no history in this cycle: %s", len(own), len(tokens), failed)
            continue
        tape.keep_prices(at, prices, since=dict.fromkeys(own, first), until=at, taken_at=engine.runtime.clock())
        fetched += len(own)
    return fetched, why


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the cycle of a DAGSTER_HOME; the kernel lets go when its holder dies. Raises Refused where another has it.

    A cycle that overlaps one is left out and not queued: the next one looks at what it would have looked at.
    """
    with (home / "tsfm_cycle.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another cycle works in {home}: this one is left out. Wait for it; where they overlap often, raise "
                "tsfm.cycle_min."
            ) from None
        yield


def told(rows: pl.DataFrame) -> dict[str, int]:
    """Return of rows of TSFM_FORECASTS why the model did not answer: reason -> forecasts; "" where it did."""
    each = rows.unique(["market_id", "as_of"]).group_by(pl.col("reason").fill_null("")).len().sort("reason")
    return dict(each.iter_rows())
