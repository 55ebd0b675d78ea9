"""The ladder's net: a TSMixer on the minutes before a snapshot, the tree's student, with bands of its own errors.

Belongs here: what it is taught, how much of what it says is believed, and its artifact. Its arithmetic is mixer.py,
which imports torch, an extra: it is imported when a net learns, is read or answers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.models import folds
from timegpt_assets.core.models.apart import closest, judged
from timegpt_assets.core.models.bands import Bands, learn_bands
from timegpt_assets.core.models.blend import ALPHAS, mixed
from timegpt_assets.core.models.boosting import LibraryAbsent, library
from timegpt_assets.core.models.design import Floats
from timegpt_assets.core.models.judged import compared, losses
from timegpt_assets.core.models.judges import judged_on, judges
from timegpt_assets.core.models.learnt import Learnt, nothing, too_few
from timegpt_assets.core.models.manifests import TSMIXER_TYPE, canonical, sha256
from timegpt_assets.core.models.net_spec import NetSpec
from timegpt_assets.core.models.part import shrunk
from timegpt_assets.core.models.pupil import Pupil, arithmetic, learn_pupil, target
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.sight import Sight, known
from timegpt_assets.core.models.teaching import teacher as tree_means
from timegpt_assets.core.models.teaching import teachers
from timegpt_assets.core.models.tree import FORMS
from timegpt_assets.core.models.tree import fitted as fitted_tree
from timegpt_assets.core.models.validation import daily_losses
from timegpt_assets.core.tables.columns import CONTROL, NET, TREE

FORMAT = 1
"""Raised when the checkpoint's fields change meaning."""
LIBRARY_ABSENT = "library_absent"
_AT_ONCE = 4096
"""Rows judged in one go while learning; answers are given one by one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Net:
    """mean = share x what the pupil says, in units of sigma; ``bands`` around it.

    ``ensemble_alpha``: the share of the net beside the tree that was best in its validation, None where there was none.
    ``train_report_hash``: sha256 of the report of how it was learnt.
    """

    pupil: Pupil
    share: float
    bands: Bands
    libraries: Mapping[str, str]
    ensemble_alpha: float | None = None
    train_report_hash: str = ""

    def centre(self, rows: pl.DataFrame) -> Floats:
        """Return [row]: each by itself, so that no bit hangs on who else is asked."""
        return shrunk(self.pupil.said(rows, at_once=1), self.share, 0.0) if self.share else np.zeros(rows.height)

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers (core/models/learnt.py) of the rows of whose tokens any is known.

        Raises ValueError for rows of other tokens, LibraryAbsent without torch.
        """
        seen = known(rows)
        return self.bands.around(seen, self.centre(seen), levels)

    def stated(self) -> dict[str, Any]:
        """Return what its manifest has beside everybody's fields."""
        seen = self.pupil.sight.saved()
        return {
            "type": TSMIXER_TYPE,
            "normalization": {name: seen[name] for name in ("channels", "scaled", "middle", "spread")},
            "n_tokens": seen["n_tokens"],
            "n_channels": len(seen["channels"]),
            "ensemble_alpha": self.ensemble_alpha,
        }

    def saved(self) -> dict[str, bytes]:
        """Return the artifact's one file: a state dict with plain values, the bands as their JSON."""
        held = {
            **self.stated(),
            "format": FORMAT,
            "hidden": self.pupil.hidden,
            "blocks": self.pupil.blocks,
            "share": self.share,
            "bands": json.dumps(self.bands.saved(), sort_keys=True, separators=(",", ":"), allow_nan=False),
            "libraries": dict(self.libraries),
            "train_report_hash": self.train_report_hash,
        }
        return {".pt": arithmetic().packed(self.pupil.weights, held)}


def load_net(artifact: bytes) -> Net:
    """Return the net of an artifact.

    Raises ValueError for bytes that are none, another format, or tensors of another shape; LibraryAbsent without torch.
    """
    mixer = arithmetic()
    try:
        held = mixer.unpacked(artifact)
        if (held.get("type"), held.get("format")) != (TSMIXER_TYPE, FORMAT):
            raise ValueError(f"type {held.get('type')!r}, format {held.get('format')!r}")
        net = _unpacked(held)
        if net.pupil.weights is not None:
            mixer.check(net.pupil.weights, net.pupil.shape(mixer))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"a net cannot be read from these bytes ({error}); {TSMIXER_TYPE} of format {FORMAT} can. Learn anew "
            "(timegpt-assets train)."
        ) from error
    return net


def _unpacked(held: Mapping[str, Any]) -> Net:
    pupil = Pupil(
        sight=Sight.loaded({**held["normalization"], "n_tokens": held["n_tokens"]}),
        hidden=int(held["hidden"]),
        blocks=int(held["blocks"]),
        weights=held["state"],
    )
    return Net(
        pupil=pupil,
        share=float(held["share"]),
        bands=Bands.loaded(json.loads(held["bands"])),
        libraries=dict(held["libraries"]),
        ensemble_alpha=held["ensemble_alpha"],
        train_report_hash=str(held["train_report_hash"]),
    )


def learn_net(rows: pl.DataFrame, teacher: pl.DataFrame, spec: NetSpec) -> Learnt:
    """Return the net of a window's TRAINING_SET rows, or why there is none.

    ``teacher``: KEY and mean, the tree's means of those rows out of fold. As core/models/tree.py: the newest sessions
    judge what was learnt from those before them, taught by a tree that saw no more; then it is learnt from all. Raises
    ValueError for rows of other tokens.
    """
    own = folds.learnt_from(rows, embargo_days=spec.tree.embargo_days).sort(KEY)
    days = folds.sessions(own)
    if reason := too_few(days, spec.tree.min_sessions):
        return nothing(own, reason)
    try:
        arithmetic()
    except LibraryAbsent as absent:
        return nothing(own, f"{LIBRARY_ABSENT}: {absent}")
    validation, alpha, lost = _validated(own, spec)
    fit, chosen = fitted(own, teacher, spec)
    net = replace(fit, ensemble_alpha=alpha)
    report = net.stated() | {
        "settings": spec.saved(),
        "symbols": own["symbol"].unique().sort().to_list(),
        "taught_rows": own.join(teacher, on=list(KEY), how="semi").height,
        "chosen": chosen,
        "validation": validation,
        "control_arm": {"settings": spec.tree.control.settings, **validation["against"][CONTROL]},
        "fold_metrics": chosen["folds"],
        "library_versions": net.libraries,
    }
    return Learnt(
        model=replace(net, train_report_hash=sha256(canonical(report))),
        report=report,
        out_of_fold=own.select(KEY).clear().with_columns(mean=pl.lit(None, pl.Float64)),
        first_day=days[0],
        last_day=days[-1],
        sessions=len(days),
        rows=own.height,
        losses=lost,
    )


def fitted(rows: pl.DataFrame, teacher: pl.DataFrame, spec: NetSpec) -> tuple[Net, dict[str, Any]]:
    """Return the net learnt from all of the rows, and what was chosen on the way; nothing is judged.

    The share, the symbols' factors and the reach come from nets that never saw the row's block of sessions, nor were
    taught by who had. ``teacher``: KEY and mean, of those rows that it tells.
    """
    rows, tree = rows.sort(KEY), spec.tree
    parts = folds.purged_folds(rows, folds=tree.folds, embargo_days=tree.embargo_days)
    taught = zip(parts, teachers(rows, tree), strict=True) if spec.distill_lambda else ((p, teacher) for p in parts)
    seen = np.concatenate(
        [learn_pupil(fold.train, told, spec).said(fold.test, at_once=_AT_ONCE) for fold, told in taught]
    )
    share = closest(target(rows, spec), seen, seen, 0.0)
    bands, sizes = learn_bands(rows, parts, share * seen, tree)
    own = learn_pupil(rows, teacher, spec)
    net = Net(pupil=own, share=share, bands=bands, libraries={"torch": version("torch"), **dict([library().split()])})
    told = {
        "shrink": share,
        "size_share": bands.size.share,
        "folds": [judged(fold, rows, share * seen, sizes) for fold in parts],
    }
    return net, told


def _validated(rows: pl.DataFrame, spec: NetSpec) -> tuple[dict[str, Any], float, pl.DataFrame]:
    """Return what the net is worth on the newest sessions, its best share beside the tree there, and its LOSSES."""
    tree = spec.tree
    split = folds.walk_forward(rows, validation_sessions=tree.validation_sessions, embargo_days=tree.embargo_days)
    net, _ = fitted(split.train, tree_means(split.train, tree), spec)
    form = FORMS[tree.road][0]
    said = {
        NET: net.predicted(split.test, tree.levels),
        TREE: fitted_tree(split.train, tree, form)[0].predicted(split.test, tree.levels),
    } | judges(split, tree)
    lost = {word: losses(split.test, one, tree.levels) for word, one in said.items()}
    by_alpha = _by_alpha(split.test, said[TREE], said[NET])
    worth = judged_on(split) | {
        "against": {word: compared(lost[NET], other).saved() for word, other in lost.items() if word != NET},
        "tree_form": form,
        "pinball_by_alpha": {f"{alpha:g}": loss for alpha, loss in by_alpha.items()},
    }
    return worth, min(ALPHAS, key=lambda alpha: by_alpha[alpha]), daily_losses(split.test, said)


def _by_alpha(rows: pl.DataFrame, tree: pl.DataFrame, net: pl.DataFrame) -> dict[float, float]:
    """Return alpha -> the mean pinball loss of (1 - alpha) x the tree's + alpha x the net's answers."""
    tried = {str(alpha): mixed(tree, net, alpha) for alpha in ALPHAS}
    lost = daily_losses(rows, tried).partition_by("forecaster", as_dict=True)
    sums = {alpha: lost[(str(alpha),)].select("pinball", "n").to_numpy().sum(axis=0) for alpha in ALPHAS}
    return {alpha: float(pinball / n) for alpha, (pinball, n) in sums.items()}
