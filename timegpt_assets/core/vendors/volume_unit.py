"""Which unit volume counts: shares, unless the user says otherwise.

Belongs here: volumes. Lots cannot be told from shares by looking; a column that is nowhere above zero is no volume.
"""

import polars as pl

from timegpt_assets.core.vendors.findings import Finding, Refused

LEAST_ROWS = 20


def volume_unit(bars: pl.DataFrame, *, said: float | None) -> tuple[pl.DataFrame, Finding]:
    """Return the bars with volume in shares, and the finding. Raises Refused for volume that is zero everywhere."""
    known = bars["volume"].drop_nulls()
    if known.len() >= LEAST_ROWS and not (known > 0).any():
        raise Refused("its volume is nowhere above zero: another column counts shares. Say --columns volume=NAME.")
    rounds = float(((known % 100 == 0) & (known > 0)).mean() or 0.0)  # type: ignore[arg-type]  # of numbers: the stub allows dates too
    whole = float((known == known.round(0)).mean() or 0.0)  # type: ignore[arg-type]  # of numbers: the stub allows dates too
    top = float(known.max() or 0.0)  # type: ignore[arg-type]  # of numbers: the stub allows dates too
    seen = f"{whole:.0%} are whole numbers, {rounds:.0%} whole hundreds, {top:,.0f} at most"
    if said is not None and said != 1:
        scaled = bars.with_columns(pl.col("volume") * said)
        return scaled, Finding("volume", f"{said:g} shares a unit", f"as --volume-scale says; {seen}")
    # Nothing in the numbers tells lots from shares, so shares are what it counts unless somebody says otherwise.
    return bars, Finding("volume", "shares", seen)
