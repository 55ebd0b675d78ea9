"""What a house stands on, looked at: versions, key, places, money, clock, calendar, and what the dead hold.

Belongs here: looking, and the remedy of each thing that is not well. Nothing is spent and nothing of a user's changed;
what is written to see whether a place can be written is taken away again. What is printed is cli/doctor.py.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Literal
from uuid import uuid4
from zoneinfo import ZoneInfo

from dagster import DagsterInstance, RunsFilter
from packaging.requirements import Requirement

from timegpt_assets.adapters.ledger.process_identity import is_known_dead
from timegpt_assets.adapters.ledger.tables import RESERVED, SENT
from timegpt_assets.adapters.models.registry import ArtifactRefused
from timegpt_assets.adapters.models.signing import SIGNING_KEY
from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.engine.home_owner import MARKER, claim
from timegpt_assets.instance import run_owners
from timegpt_assets.runtime import GS, Runtime, account, ledger, model_registry, signer
from timegpt_assets.runtime_news import held

PACKAGE = "timegpt_assets"
KEYS = ("TIMEGPT_API_KEY", "NIXTLA_API_KEY")
SCARCE, FULL = 5 << 30, 200 << 20
"""Free bytes below which a year of sessions may not fit, and below which nothing should be begun."""

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its name, how it is, what was seen, and what helps where it is not well."""

    check: str
    state: State
    seen: str
    remedy: str = ""


Look = Callable[[], Iterator[Finding]]


def looked(check: str, look: Look) -> list[Finding]:
    """Return what a look found; an error it meets is a finding too, an explained one in its own words."""
    try:
        return list(look())
    except Explained as error:
        return [Finding(check, "fail", str(error))]
    except Exception as error:  # noqa: BLE001 - a doctor that falls ill finds nothing else
        return [Finding(check, "fail", f"{type(error).__name__}: {error}", "Mend what it names, or report it.")]


def versions() -> Iterator[Finding]:
    """Say which Python and packages run, which do not fit what is asked for, and which extras are there."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()}")
    wanted = [Requirement(line) for line in requires(PACKAGE) or ()]
    unfit = [why for one in wanted if _is_asked(one, "") and (why := _unfit(one))]
    key = ", ".join(f"{name} {version(name)}" for name in (PACKAGE, "dagster", "polars", "pyarrow", "nixtla"))
    yield Finding("packages", "fail" if unfit else "ok", "; ".join(unfit) or key, "make setup" if unfit else "")
    extras = sorted({*(metadata(PACKAGE).get_all("Provides-Extra") or ())} - {"dev"})  # who builds it has that one
    there = [extra for extra in extras if all(not _unfit(r) for r in wanted if _is_asked(r, extra))]
    lacking = [extra for extra in extras if extra not in there]
    yield Finding("extras", "ok", f"{', '.join(there) or 'none'} there, {', '.join(lacking) or 'none'} not installed")


def _is_asked(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _unfit(requirement: Requirement) -> str:
    try:
        there = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    fits = requirement.specifier.contains(there, prereleases=True)
    return "" if fits else f"{requirement} is asked, {there} is there"


def key(runtime: Runtime) -> Iterator[Finding]:
    """Say whether a key is there and from where; never a sign of it."""
    forecast, found = runtime.settings.forecast, [name for name in KEYS if runtime.environment.get(name, "").strip()]
    if forecast.backend == "baseline" or forecast.api_mode == "offline":
        what = f"forecast.backend is {forecast.backend}, forecast.api_mode is {forecast.api_mode}"
        yield Finding("key", "ok", f"none is needed: {what}" + (f" ({found[0]} is set)" if found else ""))
    elif not found:
        yield Finding("key", "fail", "no key is set", f"Set {KEYS[0]} (or {KEYS[1]}), or put it into .env.")
    else:
        place = "the environment" if os.environ.get(found[0]) == runtime.environment[found[0]] else ".env"
        yield Finding("key", "ok", f"{found[0]} is set, from {place}")


def models(runtime: Runtime) -> Iterator[Finding]:
    """Say whether what months teach will be signed, and whether every live model is believed."""
    settings = runtime.settings
    if not settings.forecast.ladder:
        yield Finding("models", "ok", "no rung of the ladder is seated")
        return
    registry, who = model_registry(runtime), signer(runtime)
    if registry.demand_signature and not registry.public_keys:
        remedy = "Make a key and name it in models.public_keys: timegpt-assets models sign NAME says how."
        yield Finding("models", "fail", "models.public_keys names nobody: no model is believed", remedy)
    elif who is None:
        state: State = "warn" if registry.demand_signature else "ok"
        yield Finding("models", state, "nothing is signed here", f"Set {SIGNING_KEY}." if state == "warn" else "")
    else:
        who.signed(b"")  # raises for a key that nobody would believe
        yield Finding("models", "ok", f"{SIGNING_KEY} is set, and its public key is named")
    verify = f"timegpt-assets models verify --profile {settings.profile}"
    for name, month in registry.contents().live:
        try:
            live = registry.live(name, month)
            if live:
                registry.load(name, month, live.digest)
        except ArtifactRefused as refused:
            yield Finding("models", "warn", f"{name} of {month} is refused: {refused.reason}", verify)


def bars(runtime: Runtime) -> Iterator[Finding]:
    """Say whether the source of bars can be reached."""
    data = runtime.settings.data
    if data.source == "synthetic":
        yield Finding("bars", "ok", "synthetic, made on this machine")
    elif data.source == "local":
        root = runtime.path(data.required_root)
        there = next(root.rglob("*.parquet"), None) if root.is_dir() else None
        remedy = "Set data.root, or import some: timegpt-assets import-bars PATH"
        yield Finding("bars", "ok" if there else "fail", f"{root} {'has' if there else 'has no'} parquet files",
                      "" if there else remedy)  # fmt: skip
    else:
        bucket = runtime.object_store(f"{GS}{data.required_bucket.removeprefix(GS)}")
        some = next(iter(bucket.names()), None)
        yield Finding("bars", "ok" if some else "warn", f"{bucket.shown('')} answers" + ("" if some else ", empty"),
                      "" if some else "Set data.bucket and data.template to where the bars lie.")  # fmt: skip


def news(runtime: Runtime) -> Iterator[Finding]:
    """Say of every source of news that is listed whether it has the key it needs, and whether it is left alone."""
    from timegpt_assets.adapters.news.extractor import KEY as READER_KEY  # its client is loaded by who asks for news
    from timegpt_assets.adapters.news.fred import KEY as FRED_KEY

    listed = runtime.settings.news.sources
    if not listed:
        yield Finding("news", "ok", "no source is listed")
    for name in listed:
        left_alone = held(runtime, name)
        if name == "fred" and not runtime.environment.get(FRED_KEY, "").strip():
            yield Finding("news", "fail", f"{name} is asked with a key, and none is set", f"Set {FRED_KEY}.")
        elif left_alone:
            yield Finding(
                "news", "warn", f"{name} is {left_alone}", "Nothing to do: it is asked again by itself after that."
            )
        else:
            yield Finding("news", "ok", f"{name} may be asked")
    if (named := runtime.settings.news.extractor).base_url and not runtime.environment.get(READER_KEY, "").strip():
        yield Finding("news", "fail", f"{named.model} is asked with a key, and none is set", f"Set {READER_KEY}.")


def places(runtime: Runtime) -> Iterator[Finding]:
    """Write, read and take away a few bytes in each place, and say how much is free."""
    settings = runtime.settings
    asked = {
        "storage": settings.data.storage_root,
        "artifacts": settings.data.artifacts_root,
        "paid answers": settings.forecast.cache_dir,
    }
    for name, place in asked.items():
        yield from looked(name, partial(_tried, runtime, name, place))


def _tried(runtime: Runtime, name: str, place: str) -> Iterator[Finding]:
    objects, proof, file = runtime.object_store(place), uuid4().hex.encode(), f"doctor-{uuid4().hex}"
    objects.write_new(file, proof)
    try:
        back = objects.read(file)
    finally:
        objects.delete(file)
    if back is None or back.data != proof:
        yield Finding(name, "fail", f"{objects.shown('')} gives back other bytes than were written", "Check the disk.")
        return
    if place.startswith(GS):
        yield Finding(name, "ok", f"{objects.shown('')} was written and read")
        return
    free = shutil.disk_usage(runtime.path(place)).free
    state: State = "fail" if free < FULL else "warn" if free < SCARCE else "ok"
    remedy = "" if state == "ok" else "Make room, or move it to another disk."
    yield Finding(name, state, f"{objects.shown('')} was written and read, {free / (1 << 30):,.1f} GiB free", remedy)


def money(runtime: Runtime) -> Iterator[Finding]:
    """Say what the call ledger leaves, whether sending is frozen, and which calls dead processes hold."""
    if runtime.settings.forecast.backend == "baseline":
        yield Finding("ledger", "ok", "not used: forecast.backend is baseline")
        return
    books, owner = ledger(runtime), account(runtime.settings)
    left = ", ".join(f"{n} {limit}".replace("_", " ") for limit, n in books.left(owner, "").items())
    yield Finding("ledger", "ok", f"account {owner.name} at {owner.host}, left: {left}")
    if why := books.frozen():
        yield Finding("ledger", "warn", f"sending is frozen: {why}", "timegpt-assets budget thaw")
    held = [c for c in books.calls(owner) if c["state"] in (RESERVED, SENT) and is_known_dead(str(c["owner"]))]
    if held:
        remedy = "Nothing to do: the next call settles them, what was sent as spent."
        yield Finding("ledger", "warn", f"{len(held)} calls are held by processes that are gone", remedy)


def clock(runtime: Runtime) -> Iterator[Finding]:
    """Say what time it is, and whether the time zones that sessions and budget days need are known."""
    zone = runtime.settings.forecast.api_budget.timezone
    now = runtime.clock()
    shown = f"{now:%Y-%m-%d %H:%M} UTC, {now.astimezone(ZoneInfo('America/New_York')):%H:%M} in New York"
    ZoneInfo(zone)  # raises where the machine has no data of it
    inside = calendar.FIRST_DAY < now.date() < calendar.LAST_DAY - timedelta(days=90)
    yield Finding("clock", "ok" if inside else "fail", shown, "" if inside else "Set the machine's clock.")


def sessions(runtime: Runtime) -> Iterator[Finding]:
    """Say which session closed last, and whether the calendar has every session of the grid."""
    data, last = runtime.settings.data, calendar.last_closed_session(runtime.clock())
    grid = f"the grid runs from {data.start_date} to {data.end_date or 'today'}"
    if (data.end_date or last) < data.start_date:
        yield Finding("calendar", "fail", f"{grid}: it has no session yet", "Move data.start_date or data.end_date.")
        return
    count = len(calendar.sessions(data.start_date, data.end_date or last))
    yield Finding("calendar", "ok", f"last session {last}; {grid}, {count:,} sessions")


def home(runtime: Runtime, folder: Path, instance: DagsterInstance) -> Iterator[Finding]:
    """Say whose the home is, who works in it now, and which runs in it belong to the dead."""
    if (folder / MARKER).exists():
        claim(folder, runtime)  # raises where it is another's
    records = instance.get_run_records(RunsFilter(statuses=list(run_owners.UNFINISHED)))
    dead = [record for record in records if run_owners.is_dead(instance, record)]
    living = [record for record in records if record not in dead]
    said = "; ".join(f"run {r.dagster_run.run_id[:8]} ({run_owners.told(r)})" for r in living)
    yield Finding("home", "warn" if living else "ok", f"{folder}: {said or 'nobody else works in it'}",
                  "Let it end before you make the same days." if living else "")  # fmt: skip
    for record in dead:
        what = f"run {record.dagster_run.run_id[:8]} ({run_owners.told(record)}) was killed and still holds its slots"
        yield Finding("home", "warn", what, "Any command that makes something frees it, or: timegpt-assets budget")
