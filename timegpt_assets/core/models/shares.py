"""How a model's forecast came about: what each of its inputs added to the centre and to the width.

Belongs here: shares by feature of trees, by channel of nets. A tree's are LightGBM's own contributions (Lundberg and
Lee 2017, "A unified approach to interpreting model predictions"). A net's are by occlusion (Zeiler and Fergus 2014): a
channel is replaced by its mean of the training, and what the forecast loses by that is the channel's; what channels do
together is nobody's. All in units of sigma.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from timegpt_assets.core.models.apart import Apart
from timegpt_assets.core.models.bands import Bands
from timegpt_assets.core.models.boosting import Booster
from timegpt_assets.core.models.design import Design, Floats
from timegpt_assets.core.models.net import Net
from timegpt_assets.core.models.part import Part
from timegpt_assets.core.models.together import Conformal
from timegpt_assets.core.models.tree import Tree

CENTRE, SIZE = "centre", "size"
CONTRIBUTIONS, OCCLUSION = "contributions", "occlusion"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """How one part of forecasts came about: ``base`` [row] of whoever knew nothing, ``added`` [row, name].

    ``values`` [row, name]: what each was at the snapshot, NaN where it was not known.
    """

    part: str
    method: str
    names: Sequence[str]
    base: Floats
    added: Floats
    values: Floats


def shares(model: Tree | Net, rows: pl.DataFrame, level: int) -> list[Shares]:
    """Return the shares of centre and size of each row; the size is half the width of the band of ``level``."""
    if isinstance(model, Net):
        return [_of_net(model, rows), _of_bands(model.bands, rows, level)]
    form = model.model
    if isinstance(form, Apart):
        return [_of_part(form.centre, rows), _of_bands(form.bands, rows, level)]
    if isinstance(form, Conformal):
        reached = form.reach.at(rows, [level])[:, 0]
        return [_of_boosters(CENTRE, form.design, rows, (form.booster, 1.0)), _still(SIZE, reached)]
    ends = ((form.boosters[f"{side}_{level}"], weight) for side, weight in (("hi", 0.5), ("lo", -0.5)))
    centre = _of_boosters(CENTRE, form.design, rows, (form.boosters["mean"], 1.0))
    return [centre, _of_boosters(SIZE, form.design, rows, *ends)]


def _of_boosters(part: str, design: Design, rows: pl.DataFrame, *weighted: tuple[Booster, float]) -> Shares:
    x = design.matrix(rows)
    told: Floats = np.sum([weight * booster.contributions(x) for booster, weight in weighted], axis=0)
    return _told(part, design.names, rows, told[:, -1], told[:, :-1])


def _of_part(part: Part, rows: pl.DataFrame) -> Shares:
    """Return the shares of what a part says: level + share x (booster - level)."""
    if part.booster is None:
        return _still(CENTRE, np.full(rows.height, part.level))
    found = _of_boosters(CENTRE, part.design, rows, (part.booster, part.share))
    return _told(CENTRE, found.names, rows, found.base + (1 - part.share) * part.level, found.added)


def _of_bands(bands: Bands, rows: pl.DataFrame, level: int) -> Shares:
    """Return the shares of half a band's width: of a product's growth each feature has its share of the logarithm."""
    logs = _of_part(bands.size, rows)
    width = bands.around(rows, np.zeros(rows.height), [level])[f"hi_{level}"].to_numpy()
    unit = width / np.exp(bands.size.at(rows))
    base, total = np.exp(logs.base) * unit, logs.added.sum(axis=1)
    grown = base * np.expm1(total)
    each = np.divide(grown, total, out=base.copy(), where=total != 0)
    return _told(SIZE, logs.names, rows, base, logs.added * each[:, None])


def _of_net(net: Net, rows: pl.DataFrame) -> Shares:
    """Return what the net's centre loses by each channel's occlusion; ``base`` is that of all of them."""
    channels, tokens, said = net.pupil.sight.channels, _tokens(net, rows), net.centre(rows)
    lost = [said - net.centre(_occluded(net, rows, [place])) for place in range(len(channels))]
    return Shares(
        part=CENTRE,
        method=OCCLUSION,
        names=channels,
        base=net.centre(_occluded(net, rows, range(len(channels)))),
        added=np.column_stack(lost),
        values=tokens[:, -1, :].astype(np.float64),
    )


def _tokens(net: Net, rows: pl.DataFrame) -> np.ndarray:
    """Return [row, minute, channel], in the units of the rows."""
    flat = rows["tokens"].explode(empty_as_null=False).to_numpy()
    return flat.reshape(rows.height, net.pupil.sight.n_tokens, len(net.pupil.sight.channels))


def _occluded(net: Net, rows: pl.DataFrame, places: Iterable[int]) -> pl.DataFrame:
    """Return the rows with some channels at their mean of the training, in the units of the rows."""
    sight, tokens = net.pupil.sight, _tokens(net, rows).copy()
    for place in places:
        unit = rows["sigma"].to_numpy() if sight.channels[place] in sight.scaled else np.ones(rows.height)
        tokens[:, :, place] = (sight.middle[place] * unit)[:, None]
    return rows.with_columns(pl.Series("tokens", tokens.reshape(rows.height, -1)).cast(pl.List(pl.Float32)))


def _told(part: str, names: Sequence[str], rows: pl.DataFrame, base: Floats, added: Floats) -> Shares:
    taken = rows.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in names)
    values = taken.to_numpy().reshape(rows.height, len(names))
    return Shares(part=part, method=CONTRIBUTIONS, names=names, base=base, added=added, values=values)


def _still(part: str, base: Floats) -> Shares:
    """Return the shares of what no feature moves."""
    nothing = np.zeros((base.size, 0))
    return Shares(part=part, method=CONTRIBUTIONS, names=(), base=base, added=nothing, values=nothing)
