"""The section about rollouts: how a challenger comes to be traded, and what sends it back.

Belongs here: rollout. What each key means stands in configs/rollout.yaml.
"""

from typing import Annotated

from pydantic import Field

from timegpt_assets.config.base import Count, Positive, Section

Percent = Annotated[int, Field(ge=1, le=100)]


class Shares(Section):
    """The percentage of symbols that trade the challenger, by phase."""

    canary: Percent
    ramp: Percent


class Rollout(Section):
    """When a phase may be left, forwards or back."""

    shares: Shares
    min_days: Count
    gate_failures: Count
    anomaly_sigma: Positive
