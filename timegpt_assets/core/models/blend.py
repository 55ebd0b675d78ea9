"""The blend of tree and net: how much of the net is taken, chosen on earlier months alone, and the rows it answers.

Belongs here: the choice, the policy that it becomes, and the averaging of quantiles. A blend has learnt nothing but one
number out of eleven; what it averages are its parts' own answers to the same snapshots.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import orjson
import polars as pl

from timegpt_assets.core.models.folds import months_before
from timegpt_assets.core.models.learnt import INSUFFICIENT_HISTORY
from timegpt_assets.core.pinball import pinballs
from timegpt_assets.core.tables.columns import BLEND, FALLBACK, NET, TREE

ALPHAS = tuple(tenths / 10 for tenths in range(11))
"""Shares of the net that are tried."""
FILE = ".json"
"""End of the name of the artifact's file, which holds the policy."""
MODEL, LIVE, REPLAY, BASELINE = "model", "prod_live", "maintenance_replay", "baseline"
_KEY = ["day", "symbol", "snapshot_ts"]
_NET = "_net"
_ALIKE = 1e-9
"""Losses that differ by less, as a share, are a tie: the last bits of an average say nothing."""


class PolicyError(ValueError):
    """Raised when what is stored is no policy; the message is a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendSpec:
    """On what the net's share is chosen: ``months`` before the blend's own, at least ``min_sessions`` of them."""

    months: int
    min_sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How much of the net is taken: each quantile is (1 - alpha) x the tree's + alpha x the net's."""

    alpha: float

    @property
    def name(self) -> str:
        """Return tabular_only, nn_only or blend_alpha_<alpha>."""
        return {0.0: "tabular_only", 1.0: "nn_only"}.get(self.alpha, f"blend_alpha_{self.alpha:g}")

    @property
    def asked(self) -> tuple[str, str]:
        """Return whose answers are averaged, the tree's place and the net's: a part of no weight is not asked."""
        return TREE if self.alpha < 1 else NET, NET if self.alpha > 0 else TREE

    def saved(self) -> dict[str, bytes]:
        """Return the artifact's files, ending of the name -> canonical JSON."""
        said = {"alpha": self.alpha, "parts": [TREE, NET], "policy": self.name}
        return {FILE: orjson.dumps(said, option=orjson.OPT_SORT_KEYS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A month's policy, or why there is none.

    ``reason``: empty, or ``insufficient_history: ...``, in which case ``policy`` is None. ``losses``: policy name ->
    mean pinball loss in volatilities on the ``rows`` common rows of ``sessions`` sessions (``first_day`` ..
    ``last_day``); ``pinball`` is the chosen one's, ``control_pinball`` the control arm's on those it answered too.
    """

    policy: Policy | None
    reason: str
    first_day: date | None
    last_day: date | None
    sessions: int
    rows: int
    losses: Mapping[str, float]
    pinball: float | None
    control_pinball: float | None

    @property
    def report(self) -> dict[str, Any]:
        """Return what a manifest tells of the choice, JSON-able, without a clock."""
        counts = {"sessions": self.sessions, "rows": self.rows}
        return {
            "library_versions": {"numpy": version("numpy")},
            "fold_metrics": {name: {"pinball": loss} for name, loss in self.losses.items()},
            "validation": counts | {"pinball": self.pinball},
            "control_arm": {"pinball": self.pinball, "against_pinball": self.control_pinball},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What rows may say of the artifact that stands behind them: its digest, and what it was found to be worth."""

    digest: str
    score_source: str = BASELINE
    data_regime: str = REPLAY


def load_policy(data: bytes) -> Policy:
    """Return the policy of an artifact's file. Raises PolicyError for what is none."""
    try:
        policy = Policy(alpha=float(orjson.loads(data)["alpha"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"it holds no policy ({error})") from error
    if policy.alpha not in ALPHAS or policy.saved()[FILE] != data:
        raise PolicyError(f"no choice writes {data[:200]!r}")
    return policy


def policy(base_scores: pl.DataFrame, *, month: str, spec: BlendSpec, control: str) -> Chosen:
    """Return the policy of ``month`` by BASE_SCORES of the months before it: the least mean pinball loss of the blend.

    Whatever is handed in, no row of the month itself or of later ones is read. Counted are rows that both parts
    answered by themselves; of equal losses the smaller share of the net wins.
    """
    seen = months_before(base_scores, month, spec.months).filter(pl.col("score_source") != FALLBACK)
    ends = _ends(seen.columns)
    tree, net = (_numbers(seen.filter(forecaster=part), ends) for part in (TREE, NET))
    common = tree.join(net.drop("y", "sigma"), on=_KEY, suffix=_NET).sort(_KEY)
    sessions = common["day"].n_unique()
    found: dict[str, Any] = {"sessions": sessions, "rows": common.height}
    found |= {"first_day": common["day"].min(), "last_day": common["day"].max()}
    if sessions < max(spec.min_sessions, 1):
        reason = f"{INSUFFICIENT_HISTORY}: {sessions} sessions before {month} on which both parts answered, at least "
        nothing: dict[str, Any] = {"policy": None, "losses": {}, "pinball": None, "control_pinball": None}
        return Chosen(reason=f"{reason}{spec.min_sessions}", **nothing, **found)
    losses = _losses(common, ends)
    least = min(losses.values())
    alpha = next(alpha for alpha in ALPHAS if losses[alpha] <= least * (1 + _ALIKE))
    return Chosen(
        policy=Policy(alpha=alpha),
        reason="",
        losses={Policy(alpha=tried).name: loss for tried, loss in losses.items()},
        pinball=losses[alpha],
        control_pinball=_of_control(seen.filter(forecaster=control), common, ends),
        **found,
    )


def blended(base_answers: pl.DataFrame, policy: Policy, vouched: Vouched) -> pl.DataFrame:
    """Return ANSWERS rows of the blend: of the rows that every part of some weight answered, by key.

    ``model`` is the policy's name. Where the control arm stood in for a part, it stands in for the blend. A row is a
    model's when the parts' and the policy are, live when they are.
    """
    tree, net = (base_answers.filter(forecaster=word) for word in policy.asked)
    key = ["day", "snapshot_ts", "symbol", "step"]
    rows = tree.join(net, on=key, suffix=_NET).sort(key)
    fell = {name: pl.col(name) == FALLBACK for name in ("score_source", f"score_source{_NET}")}
    return rows.with_columns(
        *(_averaged(name, policy.alpha, *fell.values()) for name in ("mean", *_bands(base_answers.columns))),
        score_source=pl.when(pl.any_horizontal(fell.values()))
        .then(pl.lit(FALLBACK))
        .when(_both("score_source", MODEL) & (vouched.score_source == MODEL))
        .then(pl.lit(MODEL))
        .otherwise(pl.lit(BASELINE)),
        data_regime=pl.when(_both("data_regime", LIVE) & (vouched.data_regime == LIVE))
        .then(pl.lit(LIVE))
        .otherwise(pl.lit(REPLAY)),
        model=pl.lit(policy.name),
        forecaster=pl.lit(BLEND),
        request_hash=_hashed(rows.select("request_hash", f"request_hash{_NET}"), policy, vouched),
    ).select(base_answers.columns)


def mixed(tree: pl.DataFrame, net: pl.DataFrame, alpha: float) -> pl.DataFrame:
    """Return day, symbol, snapshot_ts and each number as (1 - alpha) x the tree's + alpha x the net's, of common rows.

    Both have the same columns.
    """
    both, numbers = tree.join(net, on=_KEY, suffix=_NET), [name for name in tree.columns if name not in _KEY]
    return both.select(*_KEY, *(((1 - alpha) * pl.col(n) + alpha * pl.col(f"{n}{_NET}")).alias(n) for n in numbers))


def stood_in(control: pl.DataFrame) -> pl.DataFrame:
    """Return the control arm's ANSWERS rows as those of a blend that could not answer by itself."""
    return control.with_columns(forecaster=pl.lit(BLEND), score_source=pl.lit(FALLBACK), data_regime=pl.lit(REPLAY))


def _averaged(name: str, alpha: float, tree_fell: pl.Expr, net_fell: pl.Expr) -> pl.Expr:
    """Return a number of the blend; that of the control arm where it stood in for a part."""
    of_net = pl.col(f"{name}{_NET}")
    average = (1 - alpha) * pl.col(name) + alpha * of_net
    return pl.when(tree_fell).then(name).when(net_fell).then(of_net).otherwise(average).alias(name)


def _both(name: str, value: str) -> pl.Expr:
    return (pl.col(name) == value) & (pl.col(f"{name}{_NET}") == value)


def _hashed(hashes: pl.DataFrame, policy: Policy, vouched: Vouched) -> pl.Series:
    """Return the sha256 of the parts' request hashes with the policy and its digest, a row each."""
    known: dict[tuple[str, ...], str] = {}
    for own in hashes.unique().iter_rows():
        known[own] = hashlib.sha256(orjson.dumps([BLEND, policy.name, vouched.digest, *own])).hexdigest()
    return pl.Series("request_hash", [known[own] for own in hashes.iter_rows()], pl.String)


def _bands(columns: Sequence[str]) -> list[str]:
    return [name for name in columns if name.startswith(("lo_", "hi_")) and not name.endswith(_NET)]


def _ends(columns: Sequence[str]) -> dict[str, float]:
    """Return the columns that are quantiles -> their probability: lo_80 -> 0.1, mean -> 0.5, hi_80 -> 0.9."""
    found = {"mean": 0.5}
    for name in sorted(_bands(columns)):
        side, level = name.split("_")
        found[name] = (100 - int(level)) / 200 if side == "lo" else (100 + int(level)) / 200
    return found


def _numbers(rows: pl.DataFrame, ends: Collection[str]) -> pl.DataFrame:
    """Return the key, y, sigma and quantiles of the rows of which all are known, with a volatility."""
    numbers = ["y", "sigma", *ends]
    known = pl.all_horizontal(pl.col(numbers).is_finite().fill_null(False)) & (pl.col("sigma") > 0)
    return rows.filter(known).select(*_KEY, *numbers)


def _losses(common: pl.DataFrame, ends: Mapping[str, float]) -> dict[float, float]:
    """Return alpha -> mean pinball loss in volatilities, over the quantiles, of ``_numbers`` rows in a fixed order."""
    tree = common.select(list(ends)).to_numpy()
    net = common.select(f"{name}{_NET}" for name in ends).to_numpy()
    return {alpha: _pinball(common, (1 - alpha) * tree + alpha * net, ends) for alpha in ALPHAS}


def _pinball(rows: pl.DataFrame, quantiles: np.ndarray, ends: Mapping[str, float]) -> float:
    missed = (rows["y"].to_numpy()[:, None] - quantiles) / rows["sigma"].to_numpy()[:, None]
    return float(np.mean(pinballs(missed, np.array(list(ends.values())))))


def _of_control(control: pl.DataFrame, common: pl.DataFrame, ends: Mapping[str, float]) -> float | None:
    met = _numbers(control, ends).join(common.select(_KEY), on=_KEY).sort(_KEY)
    return _pinball(met, met.select(list(ends)).to_numpy(), ends) if met.height else None
