"""What a live source said, cycle by cycle, kept for good: days are made of it again, whoever ran and was killed.

Belongs here: ``tsfm/tape/<day>/<HHMMSS>.markets`` and ``.<digest>.prices``. Each is written whole or not at all and
never changed. Of two snapshots of one cycle the first stands, of two prices of one stamp the one that came first.
"""

import hashlib
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import polars as pl
import zstandard

from timegpt_assets.adapters.prediction_markets.source import MarketDay
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.core.tsfm.seen import PRICES
from timegpt_assets.core.tsfm.series import LOOKBACK

MAX_BYTES = 256 << 20
"""Most that an object may unpack to."""
_DAY = timedelta(days=1)
_NAME = re.compile(r"tsfm/tape/(\d{4}-\d\d-\d\d)/(\d{6})\.(?:markets|[0-9a-f]{16}\.prices)")


class TapeDamaged(Explained, RuntimeError):
    """Raised for an object of the tape that is not what was written; names it and the remedy."""


class CycleMissed(Explained, ValueError):
    """Raised for a snapshot that was not taken within its cycle: its quotes would be of another moment."""


@dataclass(frozen=True, slots=True)
class Tape:
    """The tape of one storage root. ``cycle``: from one cycle to the next."""

    objects: ObjectStore
    cycle: timedelta

    def keep_markets(self, at: datetime, markets: pl.DataFrame, *, taken_at: datetime) -> pl.DataFrame:
        """Store a cycle's snapshot durably; return the one that stands, the first.

        ``taken_at``: when it was there. Raises CycleMissed, TapeDamaged, ObjectStoreError.
        """
        if not at <= taken_at < at + self.cycle:
            raise CycleMissed(
                f"the snapshot of {at} was there at {taken_at}, and its cycle is {self.cycle}: its quotes are not of "
                "that cycle. Nothing was kept. Take that of the cycle that it is now; where it is always late, raise "
                "tsfm.cycle_min or lower tsfm.markets.max_candidates."
            )
        if odd := set(markets["as_of"]) - {at}:
            raise ValueError(f"a snapshot of {at} has rows of {sorted(odd)[0]}")
        name = f"{_beginning(at)}.markets"
        self.objects.write_new(name, _packed(MARKETS.conformed(markets), {"taken_at": taken_at.isoformat()}))
        return self._read(name)[1]

    def markets(self, at: datetime) -> pl.DataFrame | None:
        """Return the snapshot of a cycle, None where none was kept. Raises TapeDamaged."""
        name = f"{_beginning(at)}.markets"
        return None if self.objects.generation(name) is None else self._read(name)[1]

    def keep_prices(
        self, at: datetime, prices: pl.DataFrame, *, since: Mapping[str, datetime], until: datetime, taken_at: datetime
    ) -> None:
        """Store what a cycle fetched of tokens' prices, each from ``since`` to ``until``; again changes nothing.

        Raises ObjectStoreError.
        """
        kept = prices.select(list(PRICES)).sort("token_id", "ts", "p")
        spans = {token: begins.isoformat() for token, begins in sorted(since.items())}
        said = {"since": spans, "until": until.isoformat(), "taken_at": taken_at.isoformat()}
        packed = _packed(kept, said)
        digest = hashlib.sha256(_packed(kept, said | {"taken_at": None})).hexdigest()[:16]
        self.objects.write_new(f"{_beginning(at)}.{digest}.prices", packed)

    def lacking(self, tokens: Collection[str], at: datetime, reach: timedelta) -> dict[str, datetime]:
        """Return token -> from when on its prices of the last ``reach`` are missing on the tape; others have all.

        Nothing is missing where it was quoted in every cycle, or fetched. Raises TapeDamaged.
        """
        wanted, whole_until = set(tokens), dict.fromkeys(tokens, at - reach)
        for token, begins, ends in sorted(self._spans(at - reach, at), key=lambda span: span[1:]):
            if token in wanted and begins - whole_until[token] <= self.cycle:
                whole_until[token] = max(whole_until[token], ends)
        return {token: since for token, since in sorted(whole_until.items()) if at - since > self.cycle}

    def day(self, day: date) -> MarketDay:
        """Return what is known of a UTC day by its cycles; empty frames where there were none. Raises TapeDamaged."""
        markets = [self._read(name)[1] for name in self._names(day) if name.endswith(".markets")]
        fetched = [self._fetched(name) for name in self._telling_of(day) if _holds_prices(name)]
        begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
        prices = pl.concat([pl.DataFrame(schema=dict(PRICES) | {"taken_at": pl.String}), *fetched])
        first = prices.sort("taken_at", maintain_order=True).unique(["token_id", "ts"], keep="first")
        known = first.filter(pl.col("known_at").is_between(begins - LOOKBACK, begins + _DAY, closed="left"))
        return MarketDay(
            MARKETS.conformed(pl.concat([MARKETS.empty(), *markets])),
            known.select(list(PRICES)).sort("token_id", "ts"),
        )

    def cycles(self, day: date) -> list[datetime]:
        """Return the cycles of a day whose snapshot was kept, in their order."""
        return [_moment(name) for name in self._names(day) if name.endswith(".markets")]

    def _telling_of(self, day: date) -> list[str]:
        """Return the objects of a day and of the one before it, and those of the first cycle after it.

        Where nobody looked before midnight, that one fetches what the day lacks; what later ones fetch is of their own.
        """
        after = self._names(day + _DAY)
        first = min(map(_moment, after), default=None)
        return [*self._names(day - _DAY), *self._names(day), *(name for name in after if _moment(name) == first)]

    def _fetched(self, name: str) -> pl.DataFrame:
        said, prices = self._read(name)
        return prices.with_columns(taken_at=pl.lit(str(said["taken_at"])))

    def _spans(self, first: datetime, at: datetime) -> Iterator[tuple[str, datetime, datetime]]:
        """Give (token, from, until) of all that cycles up to ``at`` told of prices."""
        for day in sorted({(first + k * _DAY).date() for k in range((at - first) // _DAY + 1)} | {at.date()}):
            for name in self._names(day):
                if first <= _moment(name) <= at:
                    yield from self._spans_of(name)

    def _spans_of(self, name: str) -> Iterator[tuple[str, datetime, datetime]]:
        said, rows = self._read(name)
        if _holds_prices(name):
            until = datetime.fromisoformat(said["until"])
            yield from ((token, datetime.fromisoformat(begins), until) for token, begins in said["since"].items())
            return
        at, quoted = _moment(name), rows.filter(pl.col("bid").is_not_null() & pl.col("ask").is_not_null())
        yield from ((token, at, at) for token in quoted["token_id"])

    def _names(self, day: date) -> list[str]:
        found = [name for name, _ in self.objects.names(f"tsfm/tape/{day}/")]
        if odd := [name for name in found if not _NAME.fullmatch(name)]:
            raise TapeDamaged(f"{self.objects.shown(odd[0])} is nothing of the tape. Move it elsewhere.")
        return found

    def _read(self, name: str) -> tuple[Mapping[str, Any], pl.DataFrame]:
        """Return what is said of an object, and its rows. Raises TapeDamaged."""
        found = self.objects.read(name)
        try:
            if found is None:
                raise ValueError("it is gone")
            if zstandard.frame_content_size(found.data) > MAX_BYTES:
                raise ValueError(f"it says it unpacks to more than {MAX_BYTES >> 20} MiB")
            head, _, rows = zstandard.ZstdDecompressor().decompress(found.data).partition(b"\n")
            said, frame = orjson.loads(head), pl.read_ipc(io.BytesIO(rows))
            wanted = PRICES if _holds_prices(name) else MARKETS.schema
            if dict(frame.schema) != dict(wanted):
                raise ValueError("it has other columns")
        except (ValueError, zstandard.ZstdError, pl.exceptions.PolarsError, OSError) as error:
            raise TapeDamaged(
                f"{self.objects.shown(name)} is damaged ({str(error).splitlines()[0]}). Restore it from a backup, or "
                "delete it: its cycle is then one that nobody looked at, and the next cycle fetches prices again."
            ) from None
        return said, frame


def _beginning(at: datetime) -> str:
    if at.tzinfo is None or at.utcoffset() != timedelta(0) or at.microsecond:
        raise ValueError(f"{at!r} is no moment of a cycle: whole seconds, UTC")
    return f"tsfm/tape/{at.date()}/{at:%H%M%S}"


def _moment(name: str) -> datetime:
    day, clock = name.split("/")[2:4]
    return datetime.strptime(f"{day} {clock[:6]} +0000", "%Y-%m-%d %H%M%S %z")


def _holds_prices(name: str) -> bool:
    return name.endswith(".prices")


def _packed(frame: pl.DataFrame, said: Mapping[str, Any]) -> bytes:
    rows = io.BytesIO()
    frame.write_ipc(rows, compression="uncompressed")
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(orjson.dumps(said) + b"\n" + rows.getvalue())
