"""Which unit prices are in: USD, or whole numbers of a small part of one.

Belongs here: prices. A price in USD moves in cents or parts of them and lies in a known range; a fixed-point price is
a large whole number, and the step all prices share says of which unit.
"""

import math

import polars as pl

from timegpt_assets.core.bars.vendor_columns import PRICES
from timegpt_assets.core.vendors.findings import Finding, Refused

PLAUSIBLE = (0.0001, 1_000_000.0)
"""USD: shares on the tape cost at least a hundredth of a cent, and the dearest below a million."""
LEAST_WHOLE = 20
DEAR = 3_000.0
"""A price of whole dollars above this, in every row, is rather cents or another unit."""
UNITS = (2, 3, 4, 6, 8, 9)
SHOW_OPTION = "Say --price-scale, the USD of one unit: 1 for USD, 0.01 for cents, 1e-9 for Databento's default."
_STEP_ASKED = 20_000


def price_scale(bars: pl.DataFrame, *, said: float | None, claimed_digits: int) -> tuple[pl.DataFrame, Finding]:
    """Return the bars with prices in USD, and the finding. ``claimed_digits``: the vendor's, for whole numbers.

    Raises Refused for prices that cannot be USD and whose unit nothing tells.
    """
    known = pl.concat([bars[name] for name in PRICES]).drop_nulls()
    known = known.filter((known > 0) & known.is_finite())
    if not known.len():
        return bars, Finding("prices", "USD", "there are none")
    middle = float(known.median())  # type: ignore[arg-type]  # of numbers: the stub allows dates too
    digits, why = _digits(known, middle, claimed_digits)
    if said is not None:
        return _said(bars, said, middle, digits, why)
    _require_one_level(bars)
    if digits is None:
        raise Refused(f"its prices are {why}. {SHOW_OPTION}")
    scaled = middle / 10**digits
    if not PLAUSIBLE[0] <= scaled <= PLAUSIBLE[1]:
        raise Refused(f"its prices are about {middle:,.6g}, which is no price of a share in USD. {SHOW_OPTION}")
    return _divided(bars, digits), Finding("prices", _unit(digits), f"{why}, about {scaled:,.2f} USD in the median")


def _unit(digits: int) -> str:
    return "USD" if digits == 0 else f"whole numbers of 1e-{digits} USD"


def _digits(known: pl.Series, middle: float, claimed: int) -> tuple[int | None, str]:
    """Return which power of ten the prices are to be divided by, and why; None when nothing tells."""
    if not (known == known.round(0)).all() or known.len() < LEAST_WHOLE:
        return 0, "they have fractions of a dollar"
    if claimed and 0.1 < middle / 10**claimed <= PLAUSIBLE[1]:
        return claimed, "whole numbers, as its format has them"
    if middle < DEAR:
        return 0, "they lie in the range of shares"
    step = math.gcd(*known.head(_STEP_ASKED).cast(pl.Int64).to_list())
    # The step that all prices share must be a cent in the unit that is right.
    fitting = [n for n in UNITS if step == 10 ** (n - 2) and 0.05 <= middle / 10**n <= 100_000]
    if len(fitting) == 1:
        return fitting[0], f"whole numbers whose common step {step:,} is then a cent"
    return None, f"whole numbers of about {middle:,.0f}, all multiples of {step:,}: USD, or parts of them"


def _divided(bars: pl.DataFrame, digits: int) -> pl.DataFrame:
    """Return the bars, prices divided by a power of ten, as a person would round: 141040000000 / 1e9 is 141.04.

    A column is divided by, because polars multiplies with the inverse of a number, which is off by the last bit.
    """
    unit = pl.repeat(float(10**digits), bars.height, eager=True)
    return bars.with_columns((bars[name] / unit).alias(name) for name in PRICES) if digits else bars


def _said(
    bars: pl.DataFrame, said: float, middle: float, digits: int | None, why: str
) -> tuple[pl.DataFrame, Finding]:  # fmt: skip
    if digits and not math.isclose(said, 10.0**-digits, rel_tol=1e-9):
        raise Refused(
            f"--price-scale {said:g} is contradicted: its prices are {why}. Say 1e-{digits}, or leave it out."
        )
    if not PLAUSIBLE[0] <= middle * said <= PLAUSIBLE[1]:
        raise Refused(
            f"--price-scale {said:g} is contradicted: prices would be about {middle * said:,.6g} USD. Say another."
        )
    power = round(-math.log10(said))
    if power >= 0 and math.isclose(said, 10.0**-power, rel_tol=1e-12):
        scaled = _divided(bars, power)
    else:
        scaled = bars.with_columns(pl.col(name) * said for name in PRICES)
    return scaled, Finding("prices", f"{said:g} USD a unit", f"as --price-scale says, about {middle * said:,.2f} USD")


_LEVELS = 10_000.0
"""A symbol's dearest median of a day over its cheapest, beyond which the file is in two units."""


def _require_one_level(bars: pl.DataFrame) -> None:
    """Raise Refused where a symbol's days are in two units."""
    days = bars.group_by("symbol", pl.col("wall").dt.date().alias("day")).agg(pl.col("close").median())
    span = days.filter(pl.col("close") > 0).group_by("symbol").agg(
        low=pl.col("close").min(), high=pl.col("close").max()
    )  # fmt: skip
    torn = span.filter(pl.col("high") > pl.col("low") * _LEVELS).sort("symbol")
    if torn.height:
        symbol, low, high = torn.row(0)
        raise Refused(
            f"prices of {symbol} are about {low:,.2f} on one day and {high:,.2f} on another: two units in one file. "
            "Fetch it again, or split it and import each part with its --price-scale."
        )
