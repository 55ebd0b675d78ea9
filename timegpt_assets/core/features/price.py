"""Features of price alone: returns and the minute's range.

Belongs here: formulas on arrays of shape (days, symbols, minutes); see windows.py for the layout.
"""

from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.minutes import Minutes, change, since_open
from timegpt_assets.core.features.windows import Floats

RETURN_WINDOWS = (1, 5, 15, 30)
VERSION = 1
FEATURES = (
    *(
        Feature(f"ret_{n}m", f"ln P(t) - ln P(t - {n} min)", f"{n} min, null before", "log return", "clock price")
        for n in RETURN_WINDOWS
    ),
    Feature("ret_open", "ln P(t) - ln P(open)", "since the open", "log return", "clock price"),
    Feature("range_pct", "(high - low) / close; 0 on filled minutes", "1 min", "share of the price", "bar range"),
)


def columns(minutes: Minutes) -> dict[str, Floats]:
    """Return ret_Nm, ret_open and range_pct."""
    log_prices = minutes.log_prices
    return {
        "ret_1m": minutes.returns,
        **{f"ret_{n}m": change(log_prices, n) for n in RETURN_WINDOWS if n > 1},
        "ret_open": since_open(log_prices),
        "range_pct": minutes.base("range_pct"),
    }
