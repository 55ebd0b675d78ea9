"""A source asked by the real client of a local server, by a clock that a test moves.

Belongs here: what the tests of asking share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from timegpt_assets.adapters.news.asking import Asking, Patience
from timegpt_assets.adapters.news.attempts import AttemptLog
from timegpt_assets.adapters.news.breaker import Breaker, Rules
from timegpt_assets.adapters.news.connector import Connector
from timegpt_assets.adapters.news.gdelt_doc import GdeltDoc
from timegpt_assets.adapters.news.gdelt_files import GdeltFiles
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.news.round import Asked
from timegpt_assets.adapters.news.sources import NewsSources
from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStore

DAY = date(2024, 7, 1)
AFTER = datetime(2024, 7, 1, 20, 30, tzinfo=UTC)
"""Half an hour after the close of DAY."""
PATIENCE = Patience(budget_s=60.0, max_attempts=4, retry_after_cap_s=30.0, timeout_s=10.0)
FILES = Rules(failures=5, cooldown_s=300.0, successes=2)
DOC = Rules(failures=1, cooldown_s=1800.0, successes=2)
COMPANIES = {"NVDA": "NVIDIA", "META": "Meta Platforms"}


@dataclass
class Hands:
    """A clock and a watch that a test moves: sleeping moves both and takes no time. ``slept``: every wait."""

    now: datetime = AFTER
    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.now

    def ticks(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


def place(where: Path | ObjectStore) -> ObjectStore:
    """Return a folder as what bytes are kept in."""
    return LocalStore(where) if isinstance(where, Path) else where


def breaker(folder: Path | ObjectStore, hands: Hands, source: str, rules: Rules, *, spacing_s: float = 0.0) -> Breaker:
    return Breaker(
        objects=place(folder),
        source=source,
        rules=rules,
        spacing_s=spacing_s,
        lease_s=140.0,
        clock=hands.clock,
        sleep=hands.sleep,
    )


def asked(
    folder: Path | ObjectStore,
    hands: Hands,
    connector: Connector,
    rules: Rules,
    *,
    spacing_s: float = 0.0,
    patience: Patience = PATIENCE,
) -> Asked:
    """Return a source that is asked over the network, with what it keeps in the folder."""
    objects = place(folder)
    log = AttemptLog(objects)
    return Asked(
        connector=connector,
        breaker=breaker(folder, hands, connector.name, rules, spacing_s=spacing_s),
        asking=Asking(patience=patience, log=log, clock=hands.clock, sleep=hands.sleep, ticks=hands.ticks),
        raw=RawStore(objects),
    )


def sources(folder: Path | ObjectStore, *listed: Asked, live: bool = False) -> NewsSources:
    objects = place(folder)
    return NewsSources(listed=listed, raw=RawStore(objects), log=AttemptLog(objects), live=live)


def files(url: str) -> GdeltFiles:
    return GdeltFiles(base_url=url)


def doc(url: str, names: Mapping[str, str] = COMPANIES) -> GdeltDoc:
    return GdeltDoc(base_url=url, names=lambda day: names)
