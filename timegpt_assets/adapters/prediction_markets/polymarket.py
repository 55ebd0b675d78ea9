"""Polymarket's public interfaces: Gamma lists markets, the CLOB has books and prices, the data API open interest.

Belongs here: what is asked of which, in what portions, and which silence is a failure. How patiently is asked is
asking.py, what a market's fields say gamma.py. Nobody needs a key.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.adapters.prediction_markets import gamma
from timegpt_assets.adapters.prediction_markets.asking import VenueFailed, VenueQuestions
from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.core.tsfm.seen import PRICES

GAMMA, CLOB, DATA = "https://gamma-api.polymarket.com", "https://clob.polymarket.com", "https://data-api.polymarket.com"
PAGE = 100
"""Markets of one page: Gamma gives no more, whatever it is asked for."""
IDS = 20
"""Tokens or conditions of one question at most."""
CHUNK = timedelta(days=15)
"""Span of one question at a fine step; a longer one is refused, or answered by nothing."""
BOOKS = 20
"""Books that a cycle asks for at most: of the markets of most volume whose bid or ask Gamma does not tell."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Polymarket:
    """The venue. ``max_candidates``: markets of a cycle, those of most volume; ``fidelity_min``: step of its prices."""

    ask: VenueQuestions
    max_candidates: int
    fidelity_min: int
    known_after_s: float
    gamma_url: str = GAMMA
    clob_url: str = CLOB
    data_url: str = DATA

    @property
    def live(self) -> bool:
        """Return True: its lists and books are those of now."""
        return True

    def snapshot(self, at: datetime) -> pl.DataFrame:
        """Return MARKETS of the cycle ``at``: the active ones of most volume. Raises VenueFailed.

        Open interest and books that cannot be had are null, and told in the log; a list that is empty or unreadable
        is a failure.
        """
        refused: Counter[str] = Counter()
        rows = {row["market_id"]: row for row in self._read(self._listed(), at, refused)}
        if not rows:
            raise VenueFailed(
                "empty",
                f"{self.gamma_url}/markets tells of no active market that can be read ({dict(refused) or 'none at all'}"
                "), and there always are some: it failed without saying so. Nothing was made of it. Ask again later; "
                "where it lasts, its form has changed: report it with an answer.",
            )
        self._add_open_interest(list(rows.values()))
        self._add_books(list(rows.values()))
        _LOG.info("%d markets of %s at %s, refused: %s", len(rows), self.gamma_url, at, dict(refused) or "none")
        return MARKETS.conformed(pl.DataFrame(list(rows.values()), schema=MARKETS.schema, strict=False))

    def _listed(self) -> Iterator[object]:
        """Give active markets, those of most volume first. A page that another one runs into is no failure."""
        for offset in range(0, self.max_candidates, PAGE):
            asked = {"limit": PAGE, "offset": offset, "active": "true", "closed": "false"}
            order = {"order": "volume24hr", "ascending": "false"}
            page = self.ask.get(f"{self.gamma_url}/markets", {k: str(v) for k, v in (asked | order).items()})
            if not isinstance(page, list):
                raise VenueFailed("broken", f"{self.gamma_url}/markets: no list of markets. {_CHANGED}")
            yield from page[: self.max_candidates - offset]
            if len(page) < PAGE:
                return

    def _read(self, listed: Iterable[object], at: datetime, refused: Counter[str]) -> Iterator[gamma.Row]:
        for market in listed:
            try:
                yield gamma.row(market, at)
            except gamma.Unreadable as reason:
                refused[str(reason)] += 1

    def _add_open_interest(self, rows: Sequence[gamma.Row]) -> None:
        of_condition = {row["condition_id"]: row for row in rows if row["open_interest"] is None}
        try:
            told = {c: v for part in _portions(sorted(of_condition)) for c, v in self._open_interest(part).items()}
            if of_condition and not told:
                raise VenueFailed("empty", f"{self.data_url} tells the open interest of no market. {_CHANGED}")
        except VenueFailed as failed:
            _LOG.warning("open interest is null in this cycle: %s", failed)
            return
        for condition, value in told.items():
            if condition in of_condition:
                of_condition[condition]["open_interest"] = value

    def _open_interest(self, conditions: Sequence[str]) -> dict[str, float]:
        """Return condition -> USD, of those that are told; the older interface where the newer one is not there."""
        try:
            said = self.ask.get(f"{self.data_url}/v2/oi", {"condition": ",".join(conditions)})
            rows, name = said.get("data") if isinstance(said, Mapping) else None, "condition_id"
        except VenueFailed as failed:
            if failed.kind != "missing_path":
                raise
            rows, name = self.ask.get(f"{self.data_url}/oi", {"market": ",".join(conditions)}), "market"
        if not isinstance(rows, list):
            raise VenueFailed("broken", f"{self.data_url}: no list of open interest. {_CHANGED}")
        found = {str(row.get(name)): _number(row.get("value")) for row in rows if isinstance(row, Mapping)}
        return {condition: value for condition, value in found.items() if value is not None and value >= 0}

    def _add_books(self, rows: Sequence[gamma.Row]) -> None:
        without = [row for row in rows if row["active"] and (row["bid"] is None or row["ask"] is None)]
        for row in sorted(without, key=lambda row: (-(row["volume_24h"] or 0.0), row["market_id"]))[:BOOKS]:
            try:
                row["bid"], row["ask"] = self.book(row["token_id"])
            except VenueFailed as failed:
                _LOG.warning("books are not asked for further in this cycle: %s", failed)
                return

    def book(self, token: str) -> tuple[float | None, float | None]:
        """Return the best bid and ask of a token, None for an empty side, whatever the order of its levels.

        Raises VenueFailed.
        """
        said = self.ask.get(f"{self.clob_url}/book", {"token_id": token})
        if not isinstance(said, Mapping):
            raise VenueFailed("broken", f"{self.clob_url}/book: no book. {_CHANGED}")
        bids, asks = (_levels(said.get(side)) for side in ("bids", "asks"))
        return max(bids, default=None), min(asks, default=None)

    def prices(self, tokens: Collection[str], start: datetime, end: datetime) -> pl.DataFrame:
        """Return PRICES of tokens with ``start <= ts < end``. Raises VenueFailed.

        No price of any of them is a failure: an interface that answers nothing looks like one that is well.
        """
        found = [row for begins, ends in _chunks(start, end) for part in _portions(sorted(set(tokens)))
                 for row in self._history(part, begins, ends)]  # fmt: skip
        late = timedelta(seconds=self.known_after_s)
        rows = [(token, ts, p, ts + late) for token, ts, p in found if start <= ts < end]
        if tokens and not rows:
            raise VenueFailed(
                "empty",
                f"{self.clob_url} has no price of any of {len(set(tokens))} tokens from {start} to {end}. Of markets "
                "that are over it keeps none by the minute; are these traded, it failed without saying so. Nothing "
                "was made of it. Ask again later, or replay from files (tsfm.markets.source files).",
            )
        return pl.DataFrame(rows, schema=dict(PRICES), orient="row").unique(maintain_order=True)

    def _history(
        self, tokens: Sequence[str], start: datetime, end: datetime
    ) -> Iterator[tuple[str, datetime, float | None]]:
        span = {"start_ts": int(start.timestamp()), "end_ts": int(end.timestamp())}
        try:
            said = self.ask.post(
                f"{self.clob_url}/batch-prices-history",
                {"markets": list(tokens), **span, "fidelity": self.fidelity_min},
            )
        except VenueFailed as failed:
            if failed.kind != "missing_path":
                raise
            said = {"history": {token: self._single(token, span) for token in tokens}}
        of_token = said.get("history") if isinstance(said, Mapping) else None
        if not isinstance(of_token, Mapping):
            raise VenueFailed("broken", f"{self.clob_url}: no history of prices. {_CHANGED}")
        for token in tokens:
            for point in of_token.get(token) or ():
                yield token, *_point(point, self.clob_url)

    def _single(self, token: str, span: Mapping[str, int]) -> object:
        asked = {"market": token, "startTs": str(span["start_ts"]), "endTs": str(span["end_ts"])}
        said = self.ask.get(f"{self.clob_url}/prices-history", asked | {"fidelity": str(self.fidelity_min)})
        return said.get("history") if isinstance(said, Mapping) else None


_CHANGED = "Its form may have changed: report it with an answer. Nothing was made of it."


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[i : i + IDS] for i in range(0, len(names), IDS))


def _chunks(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + CHUNK, end)
        start += CHUNK


def _point(point: object, where: str) -> tuple[datetime, float | None]:
    """Return stamp and price of a point; a price that is no number is null, which is refused and counted later."""
    stamp = _number(point.get("t")) if isinstance(point, Mapping) else None
    if stamp is None or not isinstance(point, Mapping):
        raise VenueFailed("broken", f"{where}: a price without a stamp. {_CHANGED}")
    return datetime.fromtimestamp(stamp, UTC), _number(point.get("p"))


def _levels(side: object) -> list[float]:
    levels = side if isinstance(side, list) else []
    prices = [_number(level.get("price")) for level in levels if isinstance(level, Mapping)]
    return [price for price in prices if price is not None]


def _number(said: Any) -> float | None:
    """Return a finite number, written as one or as text; None for anything else."""
    try:
        found = float(said)
    except (TypeError, ValueError):
        return None
    return None if isinstance(said, bool) or not abs(found) < float("inf") else found
