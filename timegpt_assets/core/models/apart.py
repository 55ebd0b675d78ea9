"""The road apart: a mean of what sets a symbol apart from the others, and bands by a size, each learnt by itself.

Belongs here: both models, and what is chosen on days they never saw. One shock moves all symbols of a day: whoever is
shown the market learns single days. So the mean predicts z less the market's z (its mean over the symbols of the
snapshot, the symbol's own among them) from the symbol's own features, and no direction is expected of the market.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.models.boosting import Booster, trained
from timegpt_assets.core.models.design import Design, Floats, by_moment, sums, unknown
from timegpt_assets.core.models.folds import Fold, purged_folds
from timegpt_assets.core.models.learnt import answers
from timegpt_assets.core.models.reach import Reach, reach
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.tree_spec import TreeSpec

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much of what a booster says may be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A booster, what it sees, and the share of it that is believed; without a booster it says ``level``.

    It says level + share x (booster - level).
    """

    booster: Booster | None
    design: Design
    share: float
    level: float

    def at(self, rows: pl.DataFrame) -> Floats:
        """Return [row]."""
        return _shrunk(_said(self.booster, self.design, rows, self.level), self.share, self.level)

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        text = self.booster and self.booster.text
        return {"booster": text, "design": self.design.saved(), "share": self.share, "level": self.level}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Part":
        """Return the part of ``saved``."""
        text = saved["booster"]
        return Part(
            booster=None if text is None else Booster(text),
            design=Design.loaded(saved["design"]),
            share=float(saved["share"]),
            level=float(saved["level"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Apart:
    """mean = centre; a band reaches size x the symbol's factor x the reach of its level at that time of day.

    ``centre`` in units of sigma, ``size`` as the logarithm of one; a symbol without a factor has that of the mean
    symbol, 1: nothing else of the model knows a symbol.
    """

    centre: Part
    size: Part
    factors: Mapping[str, float]
    reach: Reach

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers (core/models/learnt.py) of rows."""
        centre, size = self.centre.at(rows), np.exp(self.size.at(rows)) * _of_symbols(rows, self.factors)
        reached = size[:, None] * self.reach.at(rows, levels)
        ends = {f"lo_{level}": centre - reached[:, i] for i, level in enumerate(levels)}
        return answers(rows, centre, ends | {f"hi_{level}": centre + reached[:, i] for i, level in enumerate(levels)})

    def contributions(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return KEY, part, feature, contribution: what each feature added to the centre, and to the size.

        In units of sigma; a part's contributions add up to what it says less what it says of nobody. A size is a
        product: its factors share what they add by their logarithms.
        """
        factors, base = _of_symbols(rows, self.factors), np.exp(self.size.level)
        grown = (np.exp(self.size.at(rows)) - base) * factors
        parts = (("centre", self.centre, None), ("size", self.size, grown))
        return pl.concat([_shared(rows, *part) for part in parts])

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return {
            "centre": self.centre.saved(),
            "size": self.size.saved(),
            "factors": dict(sorted(self.factors.items())),
            "reach": self.reach.saved(),
        }

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Apart":
        """Return the model of ``saved``."""
        return Apart(
            centre=Part.loaded(saved["centre"]),
            size=Part.loaded(saved["size"]),
            factors={symbol: float(factor) for symbol, factor in saved["factors"].items()},
            reach=Reach.loaded(saved["reach"]),
        )


def learn_apart(rows: pl.DataFrame, spec: TreeSpec) -> tuple[Apart, dict[str, Any]]:
    """Return the model of TRAINING_SET rows, sorted by key, and what was chosen on days out of fold.

    The shares, the symbols' factors and the reach come from boosters that never saw the row's block of sessions.
    """
    folds = purged_folds(rows, folds=spec.folds, embargo_days=spec.embargo_days)
    z = rows["z"].to_numpy()
    centre, centre_seen = _part(rows, folds, spec, spec.centre_design, _apart, _closest)
    size, size_seen = _part(rows, folds, spec, spec.size_design, _log_size, _likeliest)
    sizes = np.exp(_shrunk(size_seen, size.share, size.level))
    errors = np.abs(z - _shrunk(centre_seen, centre.share, centre.level)) / sizes
    factors = _factors(rows, errors, spec.symbol_rows)
    own = reach(rows, errors / _of_symbols(rows, factors), window_min=spec.window_min)
    report = {
        "shrink": centre.share,
        "size_share": size.share,
        "folds": [_judged(fold, rows, centre_seen * centre.share, sizes) for fold in folds],
    }
    return Apart(centre=centre, size=size, factors=factors, reach=own), report


def teacher(rows: pl.DataFrame, spec: TreeSpec) -> pl.DataFrame:
    """Return KEY and mean: the centre as boosters tell it that never saw the row's block of sessions.

    How much of it is believed is chosen without that block too: on each other block, by boosters that saw neither.
    """
    folds, design = purged_folds(rows, folds=spec.folds, embargo_days=spec.embargo_days), spec.centre_design
    without: dict[int, list[tuple[Floats, Floats]]] = {place: [] for place in range(len(folds))}
    for (i, one), (j, other) in combinations(enumerate(folds), 2):
        booster, seen = _learnt(one.train.join(other.train.select(KEY), on=list(KEY), how="semi"), spec, design, _apart)
        for place, judge in ((i, other), (j, one)):
            without[place].append((_apart(judge.test), _said(booster, seen, judge.test, 0.0)))
    told = []
    for place, fold in enumerate(folds):
        truth, said = (np.concatenate(values) for values in zip(*without[place], strict=True))
        booster, seen = _learnt(fold.train, spec, design, _apart)
        mean = _shrunk(_said(booster, seen, fold.test, 0.0), _closest(truth, said, truth, 0.0), 0.0)
        told.append(fold.test.select(KEY).with_columns(mean=pl.Series(mean, dtype=pl.Float64)))
    return pl.concat(told).sort(KEY)


def _part(
    rows: pl.DataFrame,
    folds: Sequence[Fold],
    spec: TreeSpec,
    design: Design,
    target: Callable[[pl.DataFrame], Floats],
    choose: Callable[[Floats, Floats, Floats, float], float],
) -> tuple[Part, Floats]:
    """Return what is learnt of a target, and [row] what boosters said that never saw the row's block."""
    truth = target(rows)
    known = truth[np.isfinite(truth)]
    level = float(known.mean()) if target is _log_size and known.size else 0.0
    seen = np.concatenate([_said(*_learnt(f.train, spec, design, target), f.test, level) for f in folds])
    booster, kept = _learnt(rows, spec, design, target)
    share = choose(truth, seen, rows["z"].to_numpy(), level)
    return Part(booster=booster, design=kept, share=share, level=level), seen


def _learnt(
    rows: pl.DataFrame, spec: TreeSpec, design: Design, target: Callable[[pl.DataFrame], Floats]
) -> tuple[Booster | None, Design]:
    """Return the booster of a target and the features that any row knows; none where there is nothing to learn."""
    kept, truth = design.without(unknown(rows, design.names)), target(rows)
    known = np.isfinite(truth)
    if not kept.names or not known.any() or np.ptp(truth[known]) == 0.0:
        return None, kept
    return trained(kept.matrix(rows), truth, kept.names, spec.boosting), kept


def _said(booster: Booster | None, design: Design, rows: pl.DataFrame, level: float) -> Floats:
    return np.full(rows.height, level) if booster is None else booster.predicted(design.matrix(rows))


def _apart(rows: pl.DataFrame) -> Floats:
    """Return z less the market's: the mean of z over all symbols of the snapshot."""
    return by_moment(rows, rows["z"].to_numpy())


def _log_size(rows: pl.DataFrame) -> Floats:
    """Return the logarithm of what the minutes of the label moved, in units of sigma; NaN where none did.

    Not |z|: fifteen squared returns tell their size several times as surely as one sum of them.
    """
    share = rows["realised"].cast(pl.Float64).fill_null(float("nan")).to_numpy() / rows["sigma"].to_numpy()
    found: Floats = np.log(share, out=np.full(rows.height, np.nan), where=share > 0)
    return found


def _shrunk(said: Floats, share: float, level: float) -> Floats:
    return level + share * (said - level)


def _closest(truth: Floats, said: Floats, _z: Floats, level: float) -> float:
    """Return the share with the smallest mean absolute error; the smaller one of equals."""
    return min(SHARES, key=lambda share: float(np.mean(np.abs(truth - _shrunk(said, share, level)))))


def _likeliest(_truth: Floats, said: Floats, z: Floats, level: float) -> float:
    """Return the share under which |z| is likeliest: Laplace's density, its scale a multiple of the size."""

    def surprise(share: float) -> float:
        logs = _shrunk(said, share, level)
        scale = float(np.mean(np.abs(z) / np.exp(logs)))
        return float(np.log(scale) + np.mean(logs)) if scale > 0 else 0.0

    return min(SHARES, key=surprise)


def _factors(rows: pl.DataFrame, errors: Floats, symbol_rows: int) -> dict[str, float]:
    """Return symbol -> its mean error over that of all, averaged with ``symbol_rows`` rows at the mean."""
    mean = float(np.mean(errors))
    symbols, total, n = sums(rows["symbol"], errors)
    if mean == 0:
        return dict.fromkeys(symbols, 1.0)
    own = (total + symbol_rows * mean) / ((n + symbol_rows) * mean)
    return dict(zip(symbols, own.tolist(), strict=True))


def _of_symbols(rows: pl.DataFrame, factors: Mapping[str, float]) -> Floats:
    return np.array([factors.get(symbol, 1.0) for symbol in rows["symbol"]], dtype=float)


def _judged(fold: Fold, rows: pl.DataFrame, centre: Floats, sizes: Floats) -> dict[str, Any]:
    """Return what a fold found: its sessions, and errors of the centre and of none."""
    inside = rows["day"].is_in(fold.test["day"].unique().implode()).to_numpy()
    z, days = rows["z"].to_numpy()[inside], fold.test["day"]
    return {
        "first_day": str(days.min()),
        "last_day": str(days.max()),
        "train_rows": fold.train.height,
        "test_rows": fold.test.height,
        "mae": float(np.mean(np.abs(z - centre[inside]))),
        "mae_zero": float(np.mean(np.abs(z))),
        "size_correlation": _correlation(sizes[inside], np.abs(z)),
    }


def _correlation(one: Floats, other: Floats) -> float | None:
    return None if np.ptp(one) == 0 or np.ptp(other) == 0 else float(np.corrcoef(one, other)[0, 1])


def _shared(rows: pl.DataFrame, name: str, part: Part, grown: Floats | None) -> pl.DataFrame:
    """Return a part's contributions; ``grown`` [row]: what all of them add where that is not their sum."""
    key = rows.select(KEY).with_columns(part=pl.lit(name))
    if part.booster is None:
        return key.clear().with_columns(feature=pl.lit(""), contribution=pl.lit(0.0))
    told = part.booster.contributions(part.design.matrix(rows))[:, :-1] * part.share
    if grown is not None:
        total = told.sum(axis=1)
        told = told * np.divide(grown, total, out=np.zeros_like(grown), where=total != 0)[:, None]
    wide = key.with_columns(pl.Series(n, told[:, i]) for i, n in enumerate(part.design.names))
    return wide.unpivot(part.design.names, index=[*KEY, "part"], variable_name="feature", value_name="contribution")
