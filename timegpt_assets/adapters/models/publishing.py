"""What was learnt, published: the artifact first, then the pointer to what is live; its row is stored after both.

Belongs here: the order. A process that dies between any two leaves nothing that a day would believe wrongly, and the
same month learnt again from the same rows gives the same digest, so that doing it again changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from timegpt_assets.adapters.models.registry import ArtifactRefused, ModelRegistry
from timegpt_assets.adapters.models.signing import Signer
from timegpt_assets.core.models.manifests import TEACHER, Expected, LearntFrom, artifact, artifact_name
from timegpt_assets.core.models.stated import Taught
from timegpt_assets.core.tables.columns import TREE


class NoTeacher(ValueError):
    """Raised where a net has no tree to learn from; the message is why, with what helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Where a month's artifacts go: what they were ``made_under``, and who signs them (None: nobody)."""

    registry: ModelRegistry
    signer: Signer | None
    clock: Callable[[], datetime]
    universe: str
    made_under: Expected
    seed: int

    def name(self, forecaster: str) -> str:
        """Return what the artifacts of a forecaster are called."""
        return artifact_name(forecaster, self.universe)

    def published(self, forecaster: str, month: str, taught: Taught, *, seconds: float) -> str | None:
        """Return the digest of the artifact, stored, signed where somebody signs, and live; None where nothing is.

        ``seconds``: how long it took to learn. Raises ManifestError, SigningRefused, ArtifactRefused, ClockWentBack.
        """
        found = taught.found
        if not taught.files or found.first_day is None or found.last_day is None:
            return None
        made = artifact(
            forecaster,
            universe=self.universe,
            month=month,
            learnt_from=LearntFrom(
                first_day=found.first_day, last_day=found.last_day, sessions=found.sessions, rows=found.rows
            ),
            made_under=self.made_under,
            seed=self.seed,
            saved=taught.files,
            report=found.report,
            own=taught.own,
        )
        digest = self.registry.put(made, self.signer)
        self.registry.switch(self.name(forecaster), month, digest, clock=self.clock, seconds=seconds)
        return digest

    def took(self, forecaster: str, month: str) -> float | None:
        """Return the seconds the month's live model took to learn; None where nobody knows, or it is not believed."""
        try:
            live = self.registry.live(self.name(forecaster), month)
        except ArtifactRefused:
            return None
        return live.seconds if live else None

    def teacher(self, models: pl.DataFrame, month: str) -> pl.DataFrame:
        """Return day, symbol, snapshot_ts, mean: what the month's tree teaches by, of MODEL rows.

        Raises NoTeacher where there is no tree, or none that is believed.
        """
        own = models.filter(month=month, forecaster=TREE)
        name, digest, reason = own.select("name", "digest", "reason").row(0) if own.height else ("", None, "no tree")
        if digest is None:
            raise NoTeacher(f"there is nobody to teach it: {reason}")
        try:
            files = self.registry.load(name, month, digest, self.made_under).files
        except ArtifactRefused as refusal:
            raise NoTeacher(f"its teacher is refused: {refusal}") from refusal
        return pl.read_parquet(files[f"{name}{TEACHER}"])
