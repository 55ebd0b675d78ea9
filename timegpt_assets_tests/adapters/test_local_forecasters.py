"""The local forecaster as the settings make it."""

from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.config.settings import load_settings
from timegpt_assets.runtime import local_forecasters
from timegpt_assets_tests.core.forecasts.local.made import SYMBOLS, usual_frames


def forecaster(*overrides: str) -> LocalForecasters:
    settings = load_settings(profile="demo", config_dir=None, environment={}, overrides=overrides)
    return local_forecasters(settings)


def test_it_asks_for_as_many_residuals_as_the_settings_say() -> None:
    frames = usual_frames()
    assert forecaster().answers(frames).rows.height > 0
    strict = forecaster("forecast.baseline.min_residuals=100000").answers(frames)
    assert strict.rows.height == 0
    assert set(strict.left_out) == set(SYMBOLS)
    assert all("at least 100000" in reason for reason in strict.left_out.values())
