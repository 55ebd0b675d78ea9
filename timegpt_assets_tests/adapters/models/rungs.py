"""A small market, the tree and the blend of its April, and a house that holds them: what tests of the ladder ask.

Belongs here: making them once. The artifacts are real ones: the tree is learnt from the market's March.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.adapters.forecaster import ForecastResult
from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.adapters.models.ladder import Ladder
from timegpt_assets.adapters.models.registry import ROOT
from timegpt_assets.adapters.models.signing import Signer
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import Local
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.local.zero import Zero
from timegpt_assets.core.models.blend import Policy
from timegpt_assets.core.models.manifests import Artifact, Expected, LearntFrom, artifact, artifact_name
from timegpt_assets.core.models.net import fitted
from timegpt_assets.core.models.rows import RowSpec, training_rows
from timegpt_assets.core.models.teaching import teacher
from timegpt_assets.core.models.tree import Tree, learn_tree
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.tables.models import MODEL
from timegpt_assets_tests.adapters.models.artifacts import SECRET, UNDER, public, registry
from timegpt_assets_tests.core.forecasts.local.made import HOURS, framed
from timegpt_assets_tests.core.models.made import labels, net_spec, tree_spec
from timegpt_assets_tests.core.panels import HORIZON, panel

MARCH = tuple(calendar.month_sessions("2025-03"))
APRIL = tuple(calendar.month_sessions("2025-04")[:3])
DAY = APRIL[1]
MONTH, LEVELS = "2025-04", (50, 80, 95)
RETURNS = {f"ret_{k}m": k for k in (1, 5, 15, 30)}
FEATURES = (*RETURNS, "vol_ewm_60m")
SPEC = RowSpec(
    horizon_min=HORIZON,
    sigma_column="sigma_60m",
    snapshot_every_min=15,
    n_tokens=8,
    channels=("ret_1m", "vol_ewm_60m"),
    features=FEATURES,
)
IN_TIME = datetime(2025, 4, 1, 12, tzinfo=UTC)
"""Before the opening of every session after DAY."""
RIDGE, ZERO = Ridge(ridge=0.25, residual_window_min=30, min_residuals=120), Zero(window_min=30, min_residuals=120)
KEYS = {"ada": public(SECRET)}


@cache
def market() -> pl.DataFrame:
    """Return PANEL of March and the first days of April, with past returns beside the prices."""
    made = panel((*MARCH, *APRIL), ("AAA", "BBB", "CCC"), momentum=0.3)
    price = pl.col("clock_price").log()
    return made.sort("symbol", "day", "known_at").with_columns(
        price.diff(k).over("symbol", "day").cast(pl.Float32).alias(name) for name, k in RETURNS.items()
    )


def frames(rows: pl.DataFrame | None = None, *, day: date = DAY, **changed: Any) -> tuple[Frame, ...]:
    """Return three frames of a day."""
    return framed(market() if rows is None else rows, day=day, preset=HOURS, **changed)[::2]


def spec_of_tree() -> TreeSpec:
    """Return how the tree learns."""
    return tree_spec(features=FEATURES, own=FEATURES, clock=(), scaled=frozenset(FEATURES), symbol_rows=10)


@cache
def tree() -> Tree:
    """Return the tree of April, learnt from March; nobody ever showed it the symbol CCC."""
    own = market().filter(pl.col("day") < APRIL[0], pl.col("symbol") != "CCC")
    found = learn_tree(training_rows(own, labels(own), SPEC), spec_of_tree())
    assert isinstance(found.model, Tree), found.reason
    return found.model


@cache
def of_net() -> Artifact:
    """Return the artifact of April's net, learnt from March; it needs torch."""
    own = market().filter(pl.col("day") < APRIL[0], pl.col("symbol") != "CCC")
    rows = training_rows(own, labels(own), SPEC)
    spec = net_spec(
        channels=SPEC.channels, n_tokens=SPEC.n_tokens, scaled=frozenset(SPEC.channels), tree=spec_of_tree()
    )
    net = fitted(rows, teacher(rows, spec.tree), spec)[0]
    return stored("tsmixer", net.saved(), **net.stated())


def stored(word: str, saved: Mapping[str, bytes], *, under: Expected = UNDER, **own: Any) -> Artifact:
    """Return an artifact of April."""
    report = {
        "library_versions": {"lightgbm": "4.7.0"},
        "fold_metrics": [{"pinball": 0.31}],
        "validation": {"pinball": 0.3},
        "control_arm": {"settings": "c" * 64, "pinball": 0.31},
    }
    learnt_from = LearntFrom(first_day=MARCH[0], last_day=MARCH[-2], sessions=len(MARCH) - 1, rows=900)
    return artifact(
        word, universe="demo", month=MONTH, learnt_from=learnt_from, made_under=under, seed=7, saved=saved,
        report=report, own=own,
    )  # fmt: skip


@cache
def of_tree(under: Expected = UNDER) -> Artifact:
    """Return the tree's artifact."""
    return stored("lightgbm", tree().saved(), under=under)


def of_blend(alpha: float = 0.0) -> Artifact:
    """Return a blend's artifact."""
    policy = Policy(alpha=alpha)
    return stored("blend", policy.saved(), policy=policy.name, parts={"lightgbm": of_tree().digest})


def stated(word: str, digest: str | None, reason: str = "", *, month: str = MONTH) -> pl.DataFrame:
    """Return the MODEL row of a month's model."""
    told = {"month": month, "as_of": MARCH[-1], "forecaster": word, "name": "x", "digest": digest, "reason": reason,
            "sessions": 20, "rows": 900, "validation_sessions": 6, "control_settings": "c"}  # fmt: skip
    rows = pl.DataFrame([told], schema={name: MODEL.schema[name] for name in told})
    nothing = {n: pl.lit([], t) if isinstance(t, pl.List) else pl.lit(None, t) for n, t in MODEL.schema.items()}
    return MODEL.conformed(rows.with_columns(**{name: nothing[name] for name in nothing if name not in told}))


@dataclass(frozen=True, kw_only=True)
class House:
    """A folder with a registry: who is believed, whether a signature is demanded, and what it has loaded."""

    folder: Path
    demand: bool = False
    keys: Mapping[str, str] = field(default_factory=lambda: KEYS)
    seats: Sequence[Local] = (ZERO,)
    expected: Expected = UNDER
    is_live: bool = False
    words: Sequence[str] = ("lightgbm", "blend")

    @property
    def ladder(self) -> Ladder:
        """Return everyone of the ladder, as after a fresh start."""
        return Ladder(
            registry=registry(LocalStore(self.folder), demand=self.demand, keys=self.keys),
            names={word: artifact_name(word, "demo") for word in self.words},
            expected=self.expected,
            rows=SPEC,
            is_live=self.is_live,
        )

    @property
    def local(self) -> LocalForecasters:
        """Return who is seated beside the ladder."""
        return LocalForecasters(seats=tuple(self.seats), levels=LEVELS, run_source="smoke", control=RIDGE)

    def publish(self, made: Artifact, signer: Signer | None, *, at: datetime = IN_TIME) -> Path:
        """Store an artifact, make it live, and return its folder."""
        models, name = self.ladder.registry, made.manifest["name"]
        models.put(made, signer)
        models.switch(name, MONTH, made.digest, clock=lambda: at)
        return self.folder / ROOT / name / MONTH / made.digest

    def answers(
        self,
        models: pl.DataFrame | None = None,
        *,
        rows: pl.DataFrame | None = None,
        shown: Sequence[Frame] | None = None,
        ladder: Ladder | None = None,
        day: date = DAY,
    ) -> ForecastResult:
        """Return what everyone seated answers, the tree among them."""
        panel = market() if rows is None else rows
        own = stated("lightgbm", of_tree().digest) if models is None else models
        rungs = (ladder or self.ladder).rungs(own, panel, day=day)
        return self.local.answers(frames(panel, day=day) if shown is None else shown, *rungs)
