"""The section about the model ladder: what each month's models learn from, how, and whose artifacts are believed.

Belongs here: models. What each key means stands in configs/models.yaml.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from timegpt_assets.config.base import Count, CountOrZero, Name, NotNegative, Positive, Section


class Tree(Section):
    """The boosted trees of LightGBM."""

    rounds: Count


class Net(Section):
    """The TSMixer, the tree's student."""

    n_tokens: Count
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    distill_lambda: NotNegative


class Blend(Section):
    """How the share of the net is chosen."""

    months: Count


class Models(Section):
    """What the ladder learns, month by month."""

    road: Literal["apart", "together"]
    snapshot_every_min: Count
    window_months: Count
    embargo_days: Count
    min_sessions: Count
    validation_sessions: Count
    folds: Annotated[int, Field(ge=2)]
    seed: CountOrZero
    drift_psi_max: Positive
    attribution_top: Count
    tree: Tree
    net: Net
    blend: Blend
    public_keys: Mapping[Name, str]
