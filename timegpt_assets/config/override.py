"""Settings as a folder of files that says them again: what was resolved once, fit to be run with on its own.

Belongs here: writing. How a folder of settings is read is settings.py.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson
import yaml

from timegpt_assets.config.schema import SECTIONS
from timegpt_assets.config.settings import Settings

PATHS = (
    "data.root",
    "data.vix_path",
    "events.calendar_path",
    "events.earnings_path",
    "news.aliases_path",
    "tsfm.markets.path",
    "forecast.cache_dir",
    "forecast.api_budget.ledger_file",
    "alarms.file",
)
"""Places that would be looked for elsewhere from another folder: bars, what was paid for, who is told."""
OTHERS, ABOVE = "As they were resolved.", "Over the files beside it, and over the preset's own."
"""What stands at the head of the other files, and of the profile's."""


def written(
    settings: Settings, *, head: str, placed: Callable[[str], str], places: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the text of each file of a folder of settings that resolves to these.

    ``head`` says in one line what they are. ``placed`` makes a place absolute, ``places`` are those it has of its own
    (dotted key -> place).
    """
    for section in SECTIONS:
        values = getattr(settings, section).model_dump(mode="json", exclude_unset=True)
        for key in (*PATHS, *places):
            own, _, path = key.partition(".")
            if own == section:
                above, last = _above(values, path)
                above[last] = places.get(key) or (above[last] and placed(above[last]))
        yield f"{section}.yaml", _text(head if section == "forecast" else OTHERS, orjson.dumps(values))
    # a profile stands over files, and a preset over the horizon: what was resolved says both already
    above = {"forecast": {"horizon_min": settings.forecast.horizon_min}}
    yield f"profiles/{settings.profile}.yaml", _text(ABOVE, orjson.dumps(above))


def _above(values: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Return the mapping that holds what the path leads to, and its name there."""
    *names, last = path.split(".")
    for name in names:
        values = values[name]
    return values, last


@lru_cache(maxsize=64)  # most sections are the same in every folder, and writing YAML takes long
def _text(head: str, values: bytes) -> bytes:
    text = yaml.safe_dump(orjson.loads(values), sort_keys=False, allow_unicode=True, width=120)
    return f"# {head}\n{text}".encode()
