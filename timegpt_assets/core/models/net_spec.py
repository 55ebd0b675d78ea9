"""What a net is learnt by: its size, its course, its teacher and its judges."""

from dataclasses import asdict, dataclass
from typing import Any

from timegpt_assets.core.models.tree_spec import TreeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NetSpec:
    """How a net learns from TRAINING_SET rows: on whose windows, folds and bands, and against whom it is judged.

    ``tree``: the teacher's settings, whose road, windows, folds, bands and judges are the net's too. ``channels`` of
    each of ``n_tokens`` minutes; ``scaled``: those that move with volatility. The other fields as in
    configs/models.yaml.
    """

    tree: TreeSpec
    n_tokens: int
    channels: tuple[str, ...]
    scaled: frozenset[str]
    hidden: int
    blocks: int
    epochs: int
    batch_rows: int
    learning_rate: float
    weight_decay: float
    dropout: float
    distill_lambda: float
    seed: int

    def saved(self) -> dict[str, Any]:
        """Return what shapes the model, as JSON holds it."""
        own = asdict(self) | {"channels": list(self.channels), "scaled": sorted(self.scaled & {*self.channels})}
        return own | {"tree": self.tree.saved()}
