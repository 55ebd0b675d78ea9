"""Which settings each asset reads: a view of the settings that writes down who looks at what.

Belongs here: recording. What an asset says it reads is declared beside it; test_lineage.py compares the two.
"""

import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, FunctionType, MethodType
from typing import Any

from timegpt_assets import definitions, runtime, runtime_news
from timegpt_assets.config.base import Section

FACTORIES = {make.__name__ for make in definitions.ASSETS}
ASSETS_FOLDER = Path(definitions.__file__).parent / "assets"
OF_RESOURCE = {
    "market_data": "raw_bars",
    "timegpt": "answers",
    "local_forecasters": "base_answers",
    "ladder": "base_answers",
    "publisher": "tabular_model",
    "news_sources": "raw_news",
    "headline_reader": "normalized_news",
    "news_names": "linked_news",
}
"""Factory of an adapter -> the one asset whose rows it can change."""
RUNTIMES = {Path(module.__file__) for module in (runtime, runtime_news)}
BY_NAME = {("news", "source"), ("news", "breaker")}
"""Mappings of which an asset reads some keys of each, and not all."""
OF_EVERYBODY = {"daily_files"}
"""What several assets and resources are handed: what it says changes what they read of it (READ_OF_FILES)."""


class Reads:
    """Asset name -> the dotted keys it has read, itself or through the adapter that only it uses."""

    def __init__(self) -> None:
        self.by_asset: dict[str, set[str]] = defaultdict(set)
        self.by_anybody: set[str] = set()
        self._whose: str | None = None

    @contextmanager
    def on_behalf_of(self, asset: str) -> Iterator[None]:
        """Write whatever is read meanwhile down for this asset."""
        self._whose = asset
        yield
        self._whose = None

    def __call__(self, key: str) -> None:
        """Write the key down for the asset on whose behalf it is read; planners and triggers are nobody's asset."""
        self.by_anybody.add(key)
        if self._whose:
            self.by_asset[self._whose].add(key)
            return
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name, file = frame.f_code.co_qualname.split(".")[0], Path(frame.f_code.co_filename)
            if name in OF_EVERYBODY and file in RUNTIMES:
                return
            asset = OF_RESOURCE.get(name) if file in RUNTIMES else None
            if asset or (name in FACTORIES and ASSETS_FOLDER in file.parents):
                self.by_asset[asset or name].add(key)
                return
            frame = frame.f_back


class Recorded:
    """Settings, or a section of them, that tell ``reads`` every key taken from them."""

    def __init__(self, real: Any, reads: Reads, path: tuple[str, ...] = ()) -> None:
        self._real, self._reads, self._path = real, reads, path

    def __getattr__(self, name: str) -> Any:
        value, path = getattr(self._real, name), (*self._path, name)
        if isinstance(value, Section):
            return Recorded(value, self._reads, path)
        if path in BY_NAME:
            return {key: Recorded(one, self._reads, (*path, key)) for key, one in value.items()}
        if name in (type(self._real).model_fields if isinstance(self._real, Section) else ()):
            self._reads(".".join(path))
            return value
        found = inspect.getattr_static(type(self._real), name, None)
        if isinstance(found, property) and found.fget:
            return found.fget(self)
        if name == "digest":  # reads every key to look for a few, which are told by name
            return value
        if name == "model_dump" and len(self._path) > 1:  # whole sections are shown, which is no use of them
            self._reads(".".join(self._path))
        elif isinstance(found, FunctionType):
            return MethodType(found, self)
        return value
