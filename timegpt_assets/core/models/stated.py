"""What a month's row says of a rung: which artifact answers for it, what it was learnt from, how it did in validation.

Belongs here: MODEL rows of what was learnt or chosen. What was lost stands in them day by day; means follow from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.models.blend import Chosen, Policy, mixed
from timegpt_assets.core.models.learnt import Learnt, no_answers, nothing
from timegpt_assets.core.models.manifests import OF_KIND, TEACHER
from timegpt_assets.core.models.unlearnt import by_the_others
from timegpt_assets.core.models.validation import daily_losses
from timegpt_assets.core.tables.columns import BLEND, CONTROL, FALLBACK, NET, REFERENCES, TREE, TWIN
from timegpt_assets.core.tables.models import LOSSES, MODEL

_KEY = ["day", "symbol", "snapshot_ts"]
NOTHING_LOST = pl.DataFrame(schema=LOSSES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """A month's rung: what was learnt or chosen, LOSSES of its validation, and the fields its kind's manifest has."""

    found: Learnt | Chosen
    losses: pl.DataFrame
    own: Mapping[str, Any]

    @classmethod
    def of(cls, forecaster: str, learnt: Learnt) -> "Taught":
        """Return what a tree or a net has learnt."""
        own = {name: learnt.report[name] for name in OF_KIND[forecaster]} if learnt.model else {}
        return cls(found=learnt, losses=learnt.losses, own=own)

    @property
    def files(self) -> dict[str, bytes]:
        """Return the artifact's files, ending of the name -> bytes; a tree's hold what its student is taught by."""
        if isinstance(self.found, Chosen):
            return self.found.policy.saved() if self.found.policy else {}
        taught = {TEACHER: written(self.found.out_of_fold)} if self.found.out_of_fold.height else {}
        return self.found.model.saved() | taught if self.found.model else {}


def nothing_learnt(reason: str) -> Learnt:
    """Return a month without a model, for want of something that is not its rows."""
    return nothing(no_answers(()), reason)


def written(rows: pl.DataFrame) -> bytes:
    """Return rows as bytes that hang on nothing but them."""
    buffer = BytesIO()
    rows.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def row(
    month: str,
    forecaster: str,
    taught: Taught,
    *,
    name: str,
    digest: str | None,
    control_settings: str,
) -> pl.DataFrame:
    """Return the MODEL row of a rung.

    The row is as of the last session before the month: none of the month's own has any part in it.
    """
    found, losses = taught.found, taught.losses
    policy = found.policy.name if isinstance(found, Chosen) and found.policy else None
    told = {
        "month": month,
        "as_of": calendar.shifted(calendar.month_sessions(month)[0], -1),
        "forecaster": forecaster,
        "name": name,
        "digest": digest,
        "reason": found.reason,
        "policy": policy,
        "first_day": found.first_day,
        "last_day": found.last_day,
        "sessions": found.sessions,
        "rows": found.rows,
        "validation_sessions": losses.filter(forecaster=forecaster).height,
        "pinball": _mean(losses, forecaster),
        "control_pinball": _mean(losses, CONTROL),
        "control_settings": control_settings,
        "validation": losses.to_dicts(),
    }
    return MODEL.conformed(pl.DataFrame([told], schema=MODEL.schema))


def of_blend(chosen: Chosen, base_scores: pl.DataFrame, parts: pl.DataFrame, *, window_min: int) -> Taught:
    """Return what a blend has chosen on BASE_SCORES of the months before; ``parts``: MODEL rows of its own month.

    ``window_min``: of the unlearnt twin it is judged against, as the tree's.
    """
    digests = dict(parts.drop_nulls("digest").select("forecaster", "digest").iter_rows())
    if chosen.policy is None:
        return Taught(found=chosen, losses=NOTHING_LOST, own={})
    own = {"policy": chosen.policy.name, "parts": digests}
    return Taught(found=chosen, losses=_losses_of_choice(base_scores, chosen.policy, window_min), own=own)


def _losses_of_choice(base_scores: pl.DataFrame, policy: Policy, window_min: int) -> pl.DataFrame:
    """Return LOSSES of a blend on what it was chosen on, of its parts, and of all whom it is judged against.

    Of the rows that each of them answered by itself.
    """
    ends = [name for name in base_scores.columns if name == "mean" or name.startswith(("lo_", "hi_"))]
    own = base_scores.filter(pl.col("score_source") != FALLBACK)
    scaled = own.select(
        *_KEY, "forecaster", "sigma", *((pl.col(name) / pl.col("sigma")).alias(name) for name in ("y", *ends))
    )
    parts = {word: scaled.filter(forecaster=word) for word in (TREE, NET, CONTROL, REFERENCES[0])}
    rows = parts[TREE].select(*_KEY, "sigma", z="y")
    said = {word: part.select(*_KEY, *ends) for word, part in parts.items() if part.height}
    known = rows.filter(pl.col("z").is_finite(), pl.col("sigma") > 0)
    levels = sorted(int(name.removeprefix("lo_")) for name in ends if name.startswith("lo_"))
    said[TWIN] = by_the_others(known, levels, window_min=window_min).select(*_KEY, *ends)
    return daily_losses(rows, said | {BLEND: mixed(said[TREE], said[NET], policy.alpha)})


def _mean(losses: pl.DataFrame, forecaster: str) -> float | None:
    own = losses.filter(forecaster=forecaster)
    n = int(own["n"].sum())
    return float(own["pinball"].sum()) / n if n else None
