"""The ladder's rungs as forecasters on the same road: a month's tree and net, and the blend of what both answered.

Belongs here: which artifact answers on a day and what it is worth, how what it says becomes answers in a frame's units,
and what is said where nothing answers. An artifact is verified and loaded once for its month, whoever many days ask it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import orjson
import polars as pl

from timegpt_assets.adapters.forecaster import ForecastResult, LeftOut, Marks, Said
from timegpt_assets.adapters.models.registry import ArtifactRefused, ModelRegistry, Version
from timegpt_assets.config.seats import package
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import REFUSED, Answered
from timegpt_assets.core.forecasts.quantiles import nested
from timegpt_assets.core.models import blend
from timegpt_assets.core.models.blend import BASELINE, LIVE, MODEL, REPLAY, Policy, Vouched
from timegpt_assets.core.models.manifests import REPORT, SHOWN, TEACHER, Artifact, Expected
from timegpt_assets.core.models.net import Net, load_net
from timegpt_assets.core.models.rows import RowSpec, snapshot_rows
from timegpt_assets.core.models.tree import Tree, load_tree
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.columns import BLEND, CONTROL, FALLBACK, NET, TREE

Model = Tree | Net
_Is = TypeVar("_Is", bound=Model | Policy, covariant=True)
Loaded = dict[Version, tuple[Model | Policy, bool]]
"""What a process has verified and loaded: the model or policy, and whether somebody known vouches for it."""
_READ: Mapping[str, Callable[[bytes], Model | Policy]] = {TREE: load_tree, NET: load_net, BLEND: blend.load_policy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed(Generic[_Is]):
    """A month's live artifact of which every byte was verified, and what its rows may say of it."""

    model: _Is
    vouched: Vouched
    version: Version

    @property
    def note(self) -> str:
        """Return for people which artifact answered, and what it is worth."""
        return f"{self.version.name} {self.version.month} {self.version.digest[:SHOWN]}, {self.vouched.score_source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Who of the ladder is seated, and where their models lie.

    ``names``: word -> what its artifacts are called. ``expected``: what they must have been made under. ``rows``: what
    they are shown. ``is_live``: whether what they say may count as live (profile prod). ``loaded``: the process's.
    """

    registry: ModelRegistry
    names: Mapping[str, str]
    expected: Expected
    rows: RowSpec
    is_live: bool
    loaded: Loaded = field(default_factory=dict, repr=False, compare=False)

    def rungs(self, models: pl.DataFrame, panel: pl.DataFrame, *, day: date) -> tuple["Rung", ...]:
        """Return the seats of tree and net on a day: ``models`` MODEL rows, ``panel`` PANEL, both of any days."""
        today = panel.filter(pl.col("day") == day)
        return tuple(
            Rung(word=word, ladder=self, models=models, panel=today, day=day) for word in self.names if word != BLEND
        )

    def blended(self, base_answers: pl.DataFrame, models: pl.DataFrame, *, day: date) -> ForecastResult:
        """Return the blend's ANSWERS rows of a day, or why there are none; the control arm's for a refused policy."""
        own = base_answers.filter(pl.col("day") == day)
        try:
            found = self.policy(models, day=day)
        except LeftOut as silence:
            return ForecastResult(rows=own.clear(), left_out={BLEND: str(silence)})
        except ArtifactRefused as refusal:
            stood_in = blend.stood_in(own.filter(forecaster=CONTROL))
            return ForecastResult(rows=stood_in, ladder={BLEND: f"{FALLBACK}: {refusal}"})
        rows = blend.blended(own, found.model, found.vouched)
        silent = [part for part in dict.fromkeys(found.model.asked) if own.filter(forecaster=part).is_empty()]
        left_out = {BLEND: f"{found.model.name}: {' and '.join(silent)} did not answer"} if silent else {}
        return ForecastResult(rows=rows, left_out=left_out, ladder={BLEND: f"{found.model.name}, {found.note}"})

    def model(self, word: str, models: pl.DataFrame, *, day: date) -> Believed[Model]:
        """Return a part's model of the day's month. Raises LeftOut, and ArtifactRefused for what is not believed."""
        return self._believed(word, models, day)

    def policy(self, models: pl.DataFrame, *, day: date) -> Believed[Policy]:
        """Return the blend's policy of the day's month. Raises as ``model``."""
        return self._believed(BLEND, models, day)

    def _believed(self, word: str, models: pl.DataFrame, day: date) -> Believed[Any]:
        month = f"{day:%Y-%m}"
        version = Version(self.names[word], month, _digest(word, models, month))
        live = self.registry.live(version.name, month)
        if live is None or live.digest != version.digest:
            there = f"{live.digest[:SHOWN]} is live" if live else "none is live"
            remedy = f"Make the month's models again: timegpt-assets train --month {month}"
            raise ArtifactRefused(self.registry.shown(version), f"of that month {there}", remedy)
        if version not in self.loaded:
            artifact = self.registry.load(version.name, month, version.digest, self.expected)
            self.loaded[version] = _read(word, artifact, version), artifact.signed_by is not None
        model, is_signed = self.loaded[version]
        in_time = live.since < calendar.session(calendar.shifted(day, 1)).open
        vouched = Vouched(
            digest=version.digest,
            score_source=MODEL if is_signed else BASELINE,
            data_regime=LIVE if self.is_live and is_signed and in_time else REPLAY,
        )
        return Believed(model=model, vouched=vouched, version=version)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rung:
    """The seat of a tree or a net on one day: asked like everybody, by the model of the day's month."""

    word: str
    ladder: Ladder
    models: pl.DataFrame
    panel: pl.DataFrame
    day: date

    def answered(self, frames: Sequence[Frame], levels: Sequence[int]) -> Said:
        """Return what the month's model says to the day's frames. Raises LeftOut and ArtifactRefused.

        Snapshot by snapshot: what comes later in the day is in no earlier answer, not in its last bit.
        """
        found = self.ladder.model(self.word, self.models, day=self.day)
        spec = self.ladder.rows
        if others := sorted({frame.horizon_min for frame in frames} - {spec.horizon_min}):
            raise LeftOut(f"learnt {spec.horizon_min} minutes ahead, asked {others[0]}: set forecast.horizon_min")
        asked = asked_with(self.panel, frames, spec)
        parts = [answered(found.model, asked[frame.snapshot_ts], frame, levels) for frame in frames]
        return Said(
            parameters={"artifact": found.version.name, "digest": found.version.digest, "package": package(self.word)},
            shown={snapshot_ts: _sha256(own) for snapshot_ts, own in asked.items()},
            answered=_together(parts, levels),
            marks=Marks(
                model=self.word, score_source=found.vouched.score_source, data_regime=found.vouched.data_regime
            ),
            note=found.note,
        )


def _digest(word: str, models: pl.DataFrame, month: str) -> str:
    """Return the digest of a forecaster's artifact of a month, by MODEL rows. Raises LeftOut where there is none."""
    rows = models.filter(forecaster=word, month=month)
    if rows.is_empty():
        raise LeftOut(f"no model of {month}. Make it: timegpt-assets train --month {month}")
    row = rows.row(0, named=True)
    if row["digest"] is None:
        raise LeftOut(str(row["reason"]))
    return str(row["digest"])


def _read(word: str, artifact: Artifact, version: Version) -> Model | Policy:
    """Return what an artifact's model file holds. Raises ArtifactRefused for what is none."""
    beside = (REPORT, f"{version.name}{TEACHER}")
    (data,) = (content for file, content in artifact.files.items() if file not in beside)
    try:
        found: Model | Policy = _READ[word](data)
        return found
    except ValueError as error:
        remedy = f"Make it again: timegpt-assets train --month {version.month}"
        raise ArtifactRefused(f"{version.name} of {version.month}", f"it cannot be read: {error}", remedy) from error


def asked_with(panel: pl.DataFrame, frames: Sequence[Frame], spec: RowSpec) -> dict[datetime, pl.DataFrame]:
    """Return snapshot -> the rows that a model is asked with: those of the frame's symbols, by symbol."""
    rows = snapshot_rows(panel, [frame.snapshot_ts for frame in frames], spec)
    found = {}
    for frame in frames:
        own = rows.filter(pl.col("snapshot_ts") == frame.snapshot_ts)
        found[frame.snapshot_ts] = own.join(frame.sigma.select("symbol"), on="symbol", how="semi").sort("symbol")
    return found


def answered(model: Model, asked: pl.DataFrame, frame: Frame, levels: Sequence[int]) -> Answered:
    """Return a frame's answers: what the model says in volatilities, in the frame's units."""
    said = model.predicted(asked, levels).join(frame.sigma, on="symbol")
    numbers = (pl.col(name) * pl.col("sigma") / pl.col("target_scale") for name in nested(levels))
    step = pl.lit(frame.horizon_min, pl.Int64).alias("step")
    silent = frame.sigma.select(pl.lit(frame.snapshot_ts, TIME).alias("snapshot_ts"), "symbol").join(
        said.select("symbol"), on="symbol", how="anti"
    )
    known = pl.col("symbol").is_in(asked["symbol"].implode())
    why = pl.when(known).then(pl.lit("the model cannot answer it")).otherwise(pl.lit("no volatility in the panel"))
    return Answered(rows=said.select("snapshot_ts", "symbol", step, *numbers), refused=silent.with_columns(reason=why))


def _together(parts: Sequence[Answered], levels: Sequence[int]) -> Answered:
    numbers = dict.fromkeys(nested(levels), pl.Float64())
    nothing = pl.DataFrame(schema={"snapshot_ts": TIME, "symbol": pl.String(), "step": pl.Int64(), **numbers})
    key = ["snapshot_ts", "symbol"]
    return Answered(
        rows=pl.concat([nothing, *(part.rows for part in parts)]).sort(key),
        refused=pl.concat([pl.DataFrame(schema=REFUSED), *(part.refused for part in parts)]).sort(key),
    )


def _sha256(rows: pl.DataFrame) -> str:
    """Return the digest of what a model was shown."""
    digest = hashlib.sha256(orjson.dumps([rows.columns, rows["symbol"].to_list()]))
    for column in rows.drop("symbol", "day", "snapshot_ts", "target_ts", "horizon_min"):
        flat = column.explode() if isinstance(column.dtype, pl.List) else column
        digest.update(flat.to_numpy().tobytes())
    return digest.hexdigest()
