"""Tables of the gates: by symbol and day, and by month."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import DAY, MONTH, ORIGIN, ORIGIN_KEY, SOURCES, SYMBOL

INSUFFICIENT = "insufficient_observation"
"""The verdict, and the first word of a reason, where too little was seen to judge."""

_CRITERION = {
    "criterion": Column(pl.String, "what is judged"),
    "value": Column(pl.Float64, "what was measured", nullable=True),
    "threshold": Column(pl.Float64, "what is asked", nullable=True),
    "low": Column(pl.Float64, "lower end of the value's 95 % interval", nullable=True),
    "high": Column(pl.Float64, "upper end of the value's 95 % interval", nullable=True),
    "n": Column(pl.Int64, "observations behind the value"),
    "passed": Column(pl.Boolean, "whether the criterion holds"),
    "reason": Column(pl.String, "in words"),
}

SYMBOL_GATES = Table(
    name="symbol_gates",
    columns=DAY
    | SYMBOL
    | ORIGIN
    | _CRITERION
    | {
        "verdict": Column(pl.String, f"eligible, ineligible, {INSUFFICIENT}"),
        "bootstrap": Column(pl.String, f"what {INSUFFICIENT} means for trading: trade or block"),
    },
    key=("day", "symbol", *ORIGIN_KEY, "criterion"),
)

GATES = Table(
    name="gates",
    columns=MONTH
    | SYMBOL
    | {"forecaster": Column(pl.String, "whose forecasts, or whose book, are judged")}
    | SOURCES
    | _CRITERION
    | {
        "gate": Column(pl.String, "forecast_gate, trading_gate, hard_metrics, contract, promotion: who asks it"),
        "zero": Column(pl.Float64, "what the forecaster zero scores on the same rows; of ratios", nullable=True),
    },
    key=("month", "gate", "symbol", *ORIGIN_KEY, "criterion"),
)
"""``symbol`` is ``*`` where a criterion is about all symbols; sources are ``*`` where it is about all rows."""
VERDICTS = ("forecast_gate", "trading_gate", "hard_metrics", "contract", "luck_gate")
"""The monthly tables of GATES whose rows are promotion's criteria."""
