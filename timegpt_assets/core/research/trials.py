"""What a study tries, and a trial as it is kept: what was chosen, what it was worth, and which combination made it so.

Belongs here: the plan, the record and its JSON. A record says nothing of when or on which machine: the same study has
the same trials.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from timegpt_assets.core.research.objective import Figures
from timegpt_assets.core.research.search import Choice, Worth

COMPLETE, PRUNED = "complete", "pruned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a study is gone about."""

    trials: int
    batch: int
    startup_trials: int
    steps: int
    prune_after: int
    """Trials that are not pruned."""
    warmup_steps: int
    first: tuple[Choice, ...] = ()
    """What is tried before anything is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial of a study."""

    number: int
    seed: int
    """What the sampler drew it with."""
    state: str
    """complete, or pruned: given up before its last step."""
    outer: Choice
    steps: tuple[float, ...]
    """What it was worth on the sessions up to the end of each step."""
    tried: int
    """Inner combinations."""
    duplicate_of: int | None
    """An earlier trial that chose the same and was complete: its worth is this one's."""
    worth: Worth

    @property
    def value(self) -> float:
        """Return what it was worth on all the sessions it was swept on."""
        return self.worth.value

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON holds it, flat."""
        found = asdict(self)
        worth = found.pop("worth")
        found |= worth.pop("figures") | worth | {"steps": list(self.steps), "outer": dict(self.outer)}
        return found

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> "Trial":
        """Return the record of its JSON. Raises KeyError or TypeError for what is none."""
        figures = Figures(**{name: said[name] for name in Figures.__dataclass_fields__})
        worth = {name: said[name] for name in ("value", "combination", "rules")}
        own = {name: said[name] for name in ("number", "seed", "state", "outer", "tried", "duplicate_of")}
        return cls(**own, steps=tuple(said["steps"]), worth=Worth(**worth, figures=figures))
