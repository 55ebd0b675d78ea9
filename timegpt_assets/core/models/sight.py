"""What a net sees of rows: their tokens without a unit, centred and scaled as on the rows it was learnt from.

Belongs here: from tokens to the net's input. Nothing is fitted but on the rows to learn from, and what was fitted is
kept with the model: a row that is asked cannot move how another one is seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

WIDEST = 5.0
"""Spreads beyond which a value counts as this many: one wild print would teach more than a thousand calm ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """``channels`` of ``n_tokens`` minutes, oldest first; ``scaled`` ones are taken in units of the row's sigma.

    Each channel less its ``middle``, by its ``spread``; what is not known counts as the middle, and so does all
    of a channel whose spread is 0.
    """

    n_tokens: int
    channels: tuple[str, ...]
    scaled: frozenset[str]
    middle: tuple[float, ...]
    spread: tuple[float, ...]

    def of(self, rows: pl.DataFrame) -> np.ndarray:
        """Return [row, token, channel] float32. Raises ValueError for rows of other tokens."""
        away = _raw(rows, self.n_tokens, self.channels, self.scaled) - np.array(self.middle)
        spread = np.array(self.spread)
        spreads = np.divide(away, spread, out=np.zeros_like(away), where=spread > 0)
        seen: np.ndarray = np.nan_to_num(np.clip(spreads, -WIDEST, WIDEST)).astype(np.float32)
        return seen

    def saved(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "n_tokens": self.n_tokens,
            "channels": list(self.channels),
            "scaled": sorted(self.scaled & {*self.channels}),
            "middle": list(self.middle),
            "spread": list(self.spread),
        }

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Sight":
        """Return the sight of ``saved``."""
        return Sight(
            n_tokens=int(saved["n_tokens"]),
            channels=tuple(saved["channels"]),
            scaled=frozenset(saved["scaled"]),
            middle=tuple(map(float, saved["middle"])),
            spread=tuple(map(float, saved["spread"])),
        )


def sight(rows: pl.DataFrame, *, n_tokens: int, channels: tuple[str, ...], scaled: frozenset[str]) -> Sight:
    """Return the sight by rows to learn from: each channel's mean and deviation over their rows and minutes.

    A channel that none of them knows, or that never changes, is 0 throughout.
    """
    raw = _raw(rows, n_tokens, channels, scaled).reshape(-1, len(channels))
    known = np.isfinite(raw)
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, raw, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, raw - middle, 0.0) ** 2).sum(axis=0) / count)
    changes = spread > np.finfo(np.float32).eps * np.abs(middle)
    return Sight(
        n_tokens=n_tokens,
        channels=channels,
        scaled=scaled,
        middle=tuple(middle.tolist()),
        spread=tuple(np.where(changes, spread, 0.0).tolist()),
    )


def known(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of whose tokens any is known: of the others there is nothing to see."""
    return rows.filter(pl.col("tokens").list.eval(pl.element().is_finite()).list.any())


def _raw(rows: pl.DataFrame, n_tokens: int, channels: tuple[str, ...], scaled: frozenset[str]) -> np.ndarray:
    size = n_tokens * len(channels)
    if not (rows["tokens"].list.len() == size).all():
        raise ValueError(
            f"the rows' tokens are not {n_tokens} minutes of {len(channels)} channels ({', '.join(channels)}), which "
            "the model was taught. Learn anew with the tokens of now (timegpt-assets train), or set models.net back."
        )
    flat = rows["tokens"].explode(empty_as_null=False).to_numpy().astype(np.float64)
    tokens = flat.reshape(rows.height, n_tokens, len(channels))
    moves = np.array([name in scaled for name in channels])
    sigma = rows["sigma"].to_numpy()[:, None, None]
    found: np.ndarray = np.where(moves, tokens / sigma, tokens)
    found[~np.isfinite(found)] = np.nan
    return found
