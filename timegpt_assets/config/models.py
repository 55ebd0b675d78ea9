"""The section about models: what each month's models learn from, whose artifacts are believed, who else is asked.

Belongs here: models. What each key means stands in configs/models.yaml.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from timegpt_assets.config.base import PLACE, Count, CountOrZero, Name, NotNegative, Positive, Section
from timegpt_assets.config.errors import PUBLIC_KEY


def _public_key(text: str) -> str:
    if not re.fullmatch(PUBLIC_KEY, text):
        raise ValueError("an Ed25519 public key: 32 bytes in base64, 44 letters")
    return text


KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
PublicKey = Annotated[str, AfterValidator(_public_key)]


class Tree(Section):
    """The boosted trees of LightGBM."""

    rounds: Count
    leaves: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    min_rows: Count
    l2: NotNegative
    window_min: CountOrZero
    symbol_rows: CountOrZero
    threads: Annotated[Count, PLACE]


class Net(Section):
    """The TSMixer, the tree's student."""

    n_tokens: Count
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    hidden: Count
    blocks: Count
    epochs: Count
    batch_rows: Count
    learning_rate: Positive
    weight_decay: NotNegative
    dropout: Annotated[float, Field(ge=0, lt=1)]
    distill_lambda: NotNegative


class Blend(Section):
    """How the share of the net is chosen."""

    months: Count


class Licensed(Section):
    """A ready model, and what its licence allows."""

    name: Name
    licence: Name
    use: Literal["commercial_ok", "research_only"]


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
    public_keys: Mapping[KeyName, PublicKey]
    tsfm: Annotated[tuple[Licensed, ...], PLACE]
