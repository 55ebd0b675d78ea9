"""The space in which a price is forecast: from the open interval of probabilities to the whole line, and back.

Belongs here: the transform alone. What a band may be in probabilities is guards.py.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from timegpt_assets.core.tsfm.asked import Floats

Space = Literal["logit", "identity"]


@dataclass(frozen=True, slots=True)
class Transform:
    """A space, and how near to 0 and 1 a price is taken at most in it."""

    space: Space
    eps: float

    def forward(self, p: Floats) -> Floats:
        """Return probabilities in the space: log(p / (1 - p)), those nearer to 0 or 1 than eps taken as eps away.

        nan stays nan.
        """
        if self.space == "identity":
            return np.array(p, dtype=np.float64)
        held = np.clip(np.asarray(p, dtype=np.float64), self.eps, 1.0 - self.eps)
        return np.log(held) - np.log1p(-held)

    def back(self, z: Floats) -> Floats:
        """Return what ``forward`` was of; of any finite number a value within [0, 1] where the space is logit."""
        if self.space == "identity":
            return np.array(z, dtype=np.float64)
        # e^-|z| never overflows; beyond 700 it is no number that matters
        small = np.exp(-np.abs(np.asarray(z, dtype=np.float64)))
        return np.where(np.signbit(z), small, 1.0) / (1.0 + small)
