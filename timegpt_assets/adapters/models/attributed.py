"""What moved the ladder's forecasts of a day, by the artifacts that answered them.

Belongs here: whose answers are explained by which artifact. What moved them is core/models/attribution.py.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from timegpt_assets.adapters.forecaster import LeftOut
from timegpt_assets.adapters.models.ladder import Ladder
from timegpt_assets.adapters.models.registry import ArtifactRefused
from timegpt_assets.core.models import attribution
from timegpt_assets.core.models.blend import Policy
from timegpt_assets.core.models.rows import KEY, snapshot_rows
from timegpt_assets.core.tables.columns import BLEND, FALLBACK
from timegpt_assets.core.tables.models import ATTRIBUTION


def attributed(
    ladder: Ladder,
    answers: pl.DataFrame,
    models: pl.DataFrame,
    panel: pl.DataFrame,
    *,
    day: date,
    levels: Sequence[int],
    top: int,
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return ATTRIBUTION of what the ladder answered by itself on a day, and word -> why one is not explained.

    ``answers`` LOCAL_ANSWERS, ``models`` MODEL rows, ``panel`` PANEL, each of any days. Where the control arm stood in
    there is nothing to explain.
    """
    own = answers.filter(pl.col("day") == day, pl.col("score_source") != FALLBACK)
    today = panel.filter(pl.col("day") == day)
    moved, rows, silent = dict[str, pl.DataFrame](), [ATTRIBUTION.empty()], dict[str, str]()
    for word in ladder.names:
        said = own.filter(forecaster=word)
        if said.is_empty():
            continue
        try:
            found = ladder.policy(models, day=day) if word == BLEND else ladder.model(word, models, day=day)
            if isinstance(found.model, Policy):
                moved[word] = _of_blend(moved, found.model)
            else:
                asked = snapshot_rows(today, said["snapshot_ts"].unique().to_list(), ladder.rows)
                moved[word] = attribution.moved(found.model, asked, levels)
        except (LeftOut, ArtifactRefused) as why:
            silent[word] = str(why)
            continue
        told = moved[word].join(said.select(KEY), on=list(KEY), how="semi")
        policy = found.model.name if isinstance(found.model, Policy) else None
        named = attribution.named(told, forecaster=word, top=top, policy=policy, digest=found.vouched.digest)
        rows.append(named)
    return ATTRIBUTION.conformed(pl.concat(rows)), silent


def _of_blend(moved: dict[str, pl.DataFrame], policy: Policy) -> pl.DataFrame:
    """Return what moved the blend. Raises LeftOut where a part is not explained."""
    if missing := [part for part in dict.fromkeys(policy.asked) if part not in moved]:
        raise LeftOut(f"{' and '.join(missing)} is not explained")
    tree, net = (moved[part] for part in policy.asked)
    return attribution.blended(tree, net, policy.alpha)
