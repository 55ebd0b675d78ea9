"""The tree: the ladder's first rung, learnt from a window of rows, judged on its newest sessions, learnt anew on all.

Belongs here: what is learnt on which sessions, which form of bands wins, and the artifact. How each road learns stands
in apart.py and together.py.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from timegpt_assets.core.models import folds
from timegpt_assets.core.models.apart import Apart, learn_apart
from timegpt_assets.core.models.boosting import library
from timegpt_assets.core.models.design import unknown
from timegpt_assets.core.models.judged import Comparison, compared, losses
from timegpt_assets.core.models.judges import judged_on, judges
from timegpt_assets.core.models.learnt import Learnt, nothing, too_few
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.teaching import teacher
from timegpt_assets.core.models.together import Conformal, Quantiles, learn_conformal, learn_quantiles
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.models.validation import daily_losses
from timegpt_assets.core.tables.columns import CONTROL, TREE

Form = Literal["apart", "quantile", "conformal"]
FORMS: Mapping[str, tuple[Form, ...]] = {"apart": ("apart",), "together": ("quantile", "conformal")}
"""Road -> the forms of it, of which the one that wins in validation is learnt."""
_LOADED: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "apart": Apart.loaded,
    "quantile": Quantiles.loaded,
    "conformal": Conformal.loaded,
}
FORMAT = 1
"""Raised when the artifact's JSON changes meaning."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tree:
    """A tree that has learnt: its form, and the features it was taught in."""

    form: Form
    model: Apart | Quantiles | Conformal
    features: tuple[str, ...]
    libraries: str

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers (core/models/learnt.py) of rows. Raises ValueError for rows of other features."""
        return self.model.predicted(rows, levels)

    def saved(self) -> dict[str, bytes]:
        """Return the artifact's one file: JSON with LightGBM's own texts."""
        held = {
            "format": FORMAT,
            "form": self.form,
            "features": list(self.features),
            "libraries": self.libraries,
            "model": self.model.saved(),
        }
        return {".json": json.dumps(held, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()}


def load_tree(artifact: bytes) -> Tree:
    """Return the tree of an artifact. Raises ValueError for one of another format."""
    held = json.loads(artifact)
    if held.get("format") != FORMAT or held.get("form") not in _LOADED:
        raise ValueError(
            f"a tree of format {held.get('format')!r} and form {held.get('form')!r} cannot be read, {FORMAT} can. "
            "Learn anew (timegpt-assets train)."
        )
    return Tree(
        form=held["form"],
        model=_LOADED[held["form"]](held["model"]),
        features=tuple(held["features"]),
        libraries=held["libraries"],
    )


def learn_tree(rows: pl.DataFrame, spec: TreeSpec) -> Learnt:
    """Return the tree of a window's TRAINING_SET rows, or why there is none.

    The window's last sessions are left out (embargo), the newest of the others judge every form, learnt from those
    before them; then the form that won is learnt from all. ``report`` holds what every form was worth. Raises
    ValueError for rows without one of the features.
    """
    # another order of rows is another tree
    own = folds.learnt_from(rows, embargo_days=spec.embargo_days).sort(KEY)
    days = folds.sessions(own)
    if reason := too_few(days, spec.min_sessions):
        return nothing(own, reason)
    spec.whole_design.matrix(own[:1])
    validation, form, lost = _validated(own, spec)
    tree, chosen = fitted(own, spec, form)
    report = {
        "settings": spec.saved(),
        "form": form,
        "features": list(tree.features),
        "dropped": sorted(unknown(own, spec.features)),
        "symbols": own["symbol"].unique().sort().to_list(),
        "chosen": chosen,
        "validation": validation,
        "control_arm": {"settings": spec.control.settings, **validation["forms"][form][CONTROL]},
        "fold_metrics": chosen.get("folds", []),
        "library_versions": dict([tree.libraries.split()]),
    }
    return Learnt(
        model=tree,
        report=report,
        out_of_fold=teacher(own, spec),
        first_day=days[0],
        last_day=days[-1],
        sessions=len(days),
        rows=own.height,
        losses=lost,
    )


def fitted(rows: pl.DataFrame, spec: TreeSpec, form: Form) -> tuple[Tree, dict[str, Any]]:
    """Return the tree of one form learnt from all of the rows, and what was chosen on the way; nothing is judged."""
    rows = rows.sort(KEY)
    model, chosen = _learnt(rows, spec, form)
    features = tuple(name for name in spec.features if name not in unknown(rows, spec.features))
    return Tree(form=form, model=model, features=features, libraries=library()), chosen


def settled(rows: pl.DataFrame, spec: TreeSpec) -> Tree:
    """Return the tree of all of the rows, of the road's form that wins on their newest sessions; no report is made."""
    forms = FORMS[spec.road]
    form = forms[0] if len(forms) == 1 else _validated(rows.sort(KEY), spec)[1]
    return fitted(rows, spec, form)[0]


def _learnt(rows: pl.DataFrame, spec: TreeSpec, form: Form) -> tuple[Apart | Quantiles | Conformal, dict[str, Any]]:
    if form == "apart":
        return learn_apart(rows, spec)
    return (learn_quantiles(rows, spec) if form == "quantile" else learn_conformal(rows, spec)), {}


def _validated(rows: pl.DataFrame, spec: TreeSpec) -> tuple[dict[str, Any], Form, pl.DataFrame]:
    """Return what every form is worth on the newest sessions, the best form of the spec's road, and its LOSSES."""
    split = folds.walk_forward(rows, validation_sessions=spec.validation_sessions, embargo_days=spec.embargo_days)
    others = judges(split, spec)
    lost = {word: losses(split.test, answered, spec.levels) for word, answered in others.items()}
    found, told = dict[Form, dict[str, Comparison]](), dict[Form, pl.DataFrame]()
    for form in (form for forms in FORMS.values() for form in forms):
        told[form] = fitted(split.train, spec, form)[0].predicted(split.test, spec.levels)
        own = losses(split.test, told[form], spec.levels)
        found[form] = {word: compared(own, judge) for word, judge in lost.items()}
    best = min(FORMS[spec.road], key=lambda form: found[form]["zero"].pinball or 0.0)
    worth = judged_on(split) | {
        "forms": {form: {word: one.saved() for word, one in judged.items()} for form, judged in found.items()},
        "chosen": best,
    }
    return worth, best, daily_losses(split.test, {TREE: told[best]} | others)
