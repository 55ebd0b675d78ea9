"""The local forecasters that come with the package, by the word their rows stand under."""

from timegpt_assets.core.forecasts.local.answers import Local
from timegpt_assets.core.forecasts.local.climatology import Climatology
from timegpt_assets.core.forecasts.local.persistence import Persistence
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.local.size import Size
from timegpt_assets.core.forecasts.local.statistical import Statistical
from timegpt_assets.core.forecasts.local.zero import Zero

_SEATS: tuple[type[Local], ...] = (Ridge, Zero, Climatology, Persistence, Size, Statistical)
SHIPPED = {seat.word: seat for seat in _SEATS}
LIBRARIES = {Statistical.word: "statsforecast", "lightgbm": "lightgbm", "tsmixer": "torch"}
"""Word -> the package that does the arithmetic: with another version of it the numbers may be others."""
