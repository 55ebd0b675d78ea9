"""How a challenger comes to be traded: the phases, and the share of symbols that trades it in each."""

PHASES = ("shadow", "canary", "ramp", "full")
"""In order; in shadow nothing of it is traded, in full all."""
