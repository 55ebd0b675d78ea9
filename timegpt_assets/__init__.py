"""Minute bars to honest, budgeted TimeGPT quantile forecasts; ``open`` gives every stored table to Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timegpt_assets.serving.house import House


def open(
    profile: str | None = None,
    config_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> "House":
    """Return the stored tables of a profile, to be read: one method each, giving a polars LazyFrame.

        import timegpt_assets as ta

        house = ta.open("demo")
        house                          # which tables are there, of which days
        house.forecasts("2025-03-03", "2025-03-07", symbols="AAPL", forecaster="ridge").collect()
        help(house.forecasts)          # every column with its unit

    Args:
        profile: demo, dev, offline or prod; else TIMEGPT_ASSETS_PROFILE, else demo.
        config_dir: a folder of settings over the shipped ones; else TIMEGPT_ASSETS_CONFIG_DIR.
        settings: what --set says on the command line, like {"data.storage_root": "/elsewhere/tables"}.

    Nothing is written, neither files nor the process's environment, and no Dagster home is opened: a house may be read
    while commands work in it. Raises ConfigError, which says what is wrong with the settings.
    """
    # imported here, so that importing the package costs nothing
    from timegpt_assets.serving.house import opened

    return opened(profile, config_dir, settings)
