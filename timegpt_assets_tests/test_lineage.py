"""A setting renames exactly the rows it can change: every key is changed in turn and held against who reads it.

Guards against an asset that comes to read a setting which its lineage id does not count, and against the reverse.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pytest

from timegpt_assets import definitions, runtime, runtime_tsfm
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.config import core_inputs, seats
from timegpt_assets.config.base import PLACE, Section
from timegpt_assets.config.layers import flat
from timegpt_assets.config.news import SourceName
from timegpt_assets.config.schema import SECTIONS, marked
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.lineage import path_to_bars
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.engine.stages import STAGES
from timegpt_assets.runtime import Runtime, load_runtime
from timegpt_assets_tests import roads, tsfm_reads
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.settings_reads import Reads, Recorded

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # changed values are not validated
READ_OF_FILES = {
    "features": {"events.dates", "events.times", "events.calendar_names"},
    "raw_news": {"events.dates", "events.times", "events.calendar_names", "universe.tickers", "universe.context"},
    "normalized_news": {"events.dates", "events.times", "events.calendar_names"},
    "trades": {"events.dates", "events.times", "events.calendar_names"},
    "grid_days": {"events.dates", "events.times", "events.calendar_names"},
    **{f"search_stage_{n}": {"events.dates", "events.times", "events.calendar_names"} for n in (1, 2, 3)},
    "stress_phases": {"events.dates", "events.calendar_names"},
    "snapshots": {"events.dates", "events.calendar_names"},
    "answers": {"events.dates", "events.calendar_names", "forecast.backend"},
}
"""What these take from a resource (daily_files, hosted_forecaster, news_names), which the recorder sees read by nobody
or by another's asset."""
SEATED = "forecast.challengers=[ridge, zero, climatology, lightgbm]"
NO_NUMBER = {
    ("report", "news.sources"),  # of those that are listed it reads source_health, which counts them
    # how far back a month may look: what is searched is said by the stages' own
    ("search_stage_1", "search.stages.confirm.sessions"),
    ("search_stage_2", "search.stages.confirm.sessions"),
    ("raw_bars", "universe.tickers"),  # says which symbols there are, and changes no row of another
    # what the news is worth is traded without gates and filters, in the rows' own volatility
    *(("information_value", key) for key in ("gates.bootstrap", "trading.filters.unjudged", "trading.sigma_column")),
    ("tabular_model", "models.public_keys"),  # whose word is believed: nobody asks when something is learnt
    ("answers", "forecast.api_mode"),  # whether anything may be sent: what is answered is the same, or an error
    ("answers", "forecast.api_budget.price_per_call"),  # what is paid for an answer is no part of it
    # who is asked first: what each answers is the same
    *(("raw_news", f"news.source.{name}.tier") for name in get_args(SourceName)),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return roads.load_runtime(tmp_path_factory.mktemp("settings"), SEATED, base=roads.TINY).settings


@pytest.fixture(scope="module")
def seen() -> Reads:
    return Reads()


@pytest.fixture(scope="module")
def reads(seen: Reads, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return asset -> the keys it reads, seen in a run of the whole graph and in the making of paid requests."""
    load = roads.load_runtime
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(roads, "load_runtime", lambda *a, **k: _recorded(load(*a, **k), seen))
        with roads.road(tmp_path_factory.mktemp("reads"), SEATED, base=roads.TINY, pictures=False) as road:
            road.run(DAYS[:2])
            road.run(DAYS[:2], assets=STAGES["models"])
            road.run(DAYS[:1], assets=["promotion", *STAGES["research"]])
            road.run(DAYS[:4], assets=["book"])  # the fourth lies after gates.oos_start
            road.run(DAYS[3:4], assets=STAGES["search"])
        with roads.road(tmp_path_factory.mktemp("news"), *EVERYBODY_DOWN, base=roads.TINY) as road:
            road.run(DAYS[:1], assets=STAGES["news"])
    paid = load(tmp_path_factory.mktemp("paid"), *PAID, profile="dev", base=roads.TINY)
    with seen.on_behalf_of("answers"):
        view = _recorded(paid, seen)
        core_inputs.hosted_frame_spec(view.settings, EventCalendar({}))
        runtime.timegpt(view, runtime.account(view.settings), runtime.ledger(view), runtime.forecast_cache(view))
    with seen.on_behalf_of("calibration_models"):
        list(core_inputs.makers(_recorded(paid, seen).settings))
    taped = load(tmp_path_factory.mktemp("taped"), *TAPED, base=roads.TINY)
    with seen.on_behalf_of("markets"):
        runtime_tsfm.market_days(_recorded(taped, seen))
    with seen.on_behalf_of("tsfm_forecasts"):
        runtime_tsfm.runner(_recorded(taped, seen))
    local = load(tmp_path_factory.mktemp("local"), "data.source=local", base=roads.TINY)
    with seen.on_behalf_of("raw_bars"):
        core_inputs.reading(_recorded(local, seen).settings)
    return {asset: keys | READ_OF_FILES.get(asset, set()) for asset, keys in seen.by_asset.items()}


EVERYBODY_DOWN = (
    "news.sources=[fred, calendar, own, gdelt_files, gdelt_doc]",
    *(f"news.source.{name}.base_url=http://127.0.0.1:9" for name in ("fred", "gdelt_files", "gdelt_doc")),
    *("news.extractor.base_url=http://127.0.0.1:9/v1", "news.extractor.model=small"),
    *("news.retry.max_attempts=1", "news.spacing_s.fred=0", "news.spacing_s.gdelt_doc=0"),
)
"""Sources of news that are all listed and never answer: what is read to ask them is read all the same."""
TAPED = ("tsfm.markets.source=files", "tsfm.markets.path=tapes")
PAID = ("forecast.backend=nixtla", "forecast.base_url=http://127.0.0.1:9", "forecast.exogenous.future=[weekday]")


def _recorded(made: Runtime, seen: Reads) -> Runtime:
    view: Any = Recorded(made.settings, seen)
    return replace(made, settings=view)


@cache
def assets() -> tuple[dg.AssetsDefinition, ...]:
    """Return every asset of the graph in which the model ladder is seated: what is named hangs on nothing else."""
    built = definitions.build_definitions(load_runtime([SEATED], profile="demo", environ={}))
    return tuple(asset for asset in built.assets or () if isinstance(asset, dg.AssetsDefinition))


@cache
def above() -> dict[dg.AssetKey, set[dg.AssetKey]]:
    """Return asset -> the assets it reads; worked out once, for Dagster goes through all it knows each time."""
    return {asset.key: set(asset.dependency_keys) for asset in assets()}


@cache
def said() -> dict[dg.AssetKey, Any]:
    """Return asset -> the settings it says that it reads."""
    return {asset.key: asset.metadata_by_key[asset.key]["settings"] for asset in assets()}


def below(names: set[str]) -> set[str]:
    """Return the assets and all that stands on them."""
    reads = {asset.path[-1]: {key.path[-1] for key in read} for asset, read in above().items()}
    found = set(names)
    while more := {name for name, read in reads.items() if read & found} - found:
        found |= more
    return found


def ids(settings: Settings) -> dict[str, str]:
    records = lineage_records(settings, above(), said())
    return {key.path[-1]: record.lineage_id for key, record in records.items()}


def leaves(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield every key that is no place, with its value."""
    for section in SECTIONS:
        for path, value in flat(getattr(settings, section).model_dump(), (section,)):
            if not marked(path, PLACE):
                yield ".".join(path), value


def changed(settings: Settings, key: str) -> Settings:
    """Return the settings with another value under the key; nobody checks whether it makes sense."""
    section, *rest = key.split(".")
    return replace(settings, **{section: _with(getattr(settings, section), rest)})


def _with(value: Any, rest: list[str]) -> Any:
    if not rest:
        return _other(value)
    if isinstance(value, Section):
        return value.model_copy(update={rest[0]: _with(getattr(value, rest[0]), rest[1:])})
    return {**value, rest[0]: _with(value[rest[0]], rest[1:])}


def _other(value: Any) -> Any:
    """Return another value that the makers of specs can still take."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return OTHER.get(value, f"{value}9")
    if isinstance(value, tuple):
        return value[:-1] if value else ("x",)
    if isinstance(value, Mapping):
        return {**value, "event_new": ()}
    return 1 if value is None else type(value).max if hasattr(type(value), "max") else object()


OTHER = {
    "log_return_15m": "log_return_5m",
    "sigma_60m": "sigma_30m",
    "vol_ewm_60m": "vol_ewm_30m",
    "baseline": "nixtla",
    "liquidity_profile": "dense",
    "enhancement": "budget_sprint",
    "search_outer": "enhancement",
    "search_inner": "budget_sprint",
}


def touches(key: str, read: str, settings: Settings, asset: str) -> bool:
    """Return whether a change of ``key`` is one of what was read under the name ``read``."""
    if read == "forecast.snapshot_presets":  # the chosen preset alone shapes anything
        read = f"{read}.{settings.forecast.snapshot_preset}"
    if read == "trading_grid.grids":  # the chosen grid alone is swept, the two that it names are searched
        search, grid = settings.search, settings.trading_grid.grid
        chosen = (search.outer, search.inner) if asset.startswith("search") else (grid,)
        return any(touches(key, f"{read}.{name}", settings, asset) for name in chosen)
    return key == read or key.startswith(f"{read}.")


def test_every_setting_renames_exactly_the_rows_that_read_it(settings: Settings, reads: dict[str, set[str]]) -> None:
    before, wrong = ids(settings), []
    for key, _ in leaves(settings):
        readers = {
            asset
            for asset, keys in reads.items()
            if (asset, key) not in NO_NUMBER and any(touches(key, read, settings, asset) for read in keys)
        }
        renamed = {asset for asset, found in ids(changed(settings, key)).items() if found != before[asset]}
        if renamed != (all_below := below(readers)):
            wrong.append((key, "lacks", sorted(all_below - renamed), "more", sorted(renamed - all_below)))
    assert wrong == []


def test_the_settings_that_changed_rows_under_one_id_no_longer_do(settings: Settings) -> None:
    before = ids(settings)
    for key, first in (
        ("trading.sigma_column", {"trades", "grid_days"}),
        ("forecast.sigma_column", {"features"}),
        ("trading.filters.enabled", {"features"}),
    ):
        after = ids(changed(settings, key))
        assert {asset for asset in before if before[asset] != after[asset]} == below(first)


def test_another_version_of_a_package_that_answers_renames_what_it_can_change(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "strange_seats-2.1.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text("[timegpt_assets.forecasters]\nmine = nowhere:Nothing\n")
    monkeypatch.syspath_prepend(tmp_path)

    def renamed(*challengers: str) -> set[str]:
        forecast = settings.forecast.model_copy(update={"challengers": challengers})
        found = []
        for version in ("2.1", "2.2"):
            (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: strange-seats\nVersion: {version}\n")
            found.append(ids(replace(settings, forecast=forecast)))
        return {asset for asset in found[0] if found[0][asset] != found[1][asset]}

    assert renamed("zero", "mine") == below({"base_answers"})
    assert renamed("zero") == set()


def test_the_version_of_a_shipped_seat_s_library_renames_what_it_can_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def now(*challengers: str) -> dict[str, str]:
        return ids(replace(settings, forecast=settings.forecast.model_copy(update={"challengers": challengers})))

    before, without = now("zero", "statsforecast"), now("zero")
    installed = seats.version
    monkeypatch.setattr(seats, "version", lambda name: "9.9" if name == "statsforecast" else installed(name))
    after = now("zero", "statsforecast")
    assert {asset for asset in before if before[asset] != after[asset]} == below({"base_answers"})
    assert now("zero") == without


def test_another_version_of_what_a_rung_learns_with_renames_its_models_and_one_installed_later_those_it_had_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, installed = ids(settings), seats.version

    def renamed(package: str) -> set[str]:
        monkeypatch.setattr(seats, "version", lambda name: "9.9" if name == package else installed(name))
        after = ids(settings)
        return {asset for asset in before if before[asset] != after[asset]}

    assert renamed("lightgbm") == below({"tabular_model", "base_answers"})
    assert renamed("torch") == below({"neural_model"}), "a month that was stored for want of it is made again"


def test_a_model_renames_no_feature_and_a_feature_no_bar(settings: Settings) -> None:
    before, other = ids(settings), ids(changed(settings, "forecast.model"))
    assert {asset for asset in before if before[asset] != other[asset]} <= below({"answers"})
    off = ids(changed(settings, "features.groups"))
    assert {asset for asset in before if before[asset] != off[asset]} == below({"features"})


def test_what_an_id_leads_to_is_on_record_although_what_was_read_was_never_made(tmp_path: Path) -> None:
    """A first month's models learn from no month; without their records nobody could say later what changed."""
    loaded = roads.load_runtime(tmp_path, SEATED, base=roads.TINY)
    built = definitions.build_definitions(loaded)
    dg.materialize(
        assets(),
        selection=[dg.AssetKey(["models", "tabular_model"])],
        partition_key="2025-02-01",
        resources=built.resources,
        instance=dg.DagsterInstance.ephemeral(),
    )
    records = LineageStore(loaded.storage).records()
    (made,) = (key for key, record in records.items() if record.asset == "models/tabular_model")
    road = {record.asset for record in path_to_bars(records, made)}
    assert {"models/training_set", "features/panel", "bars/raw_bars"} <= road


READ_ELSEWHERE = {
    "models.tsfm": "serving/tsfm/terms.py",
    "news.source.calendar.base_url": "config/checks.py",
    "news.source.own.base_url": "config/checks.py",
    "automation.forecast_grid": "automation/forecast_grid.py",
    "rollout": "config/strategy_inputs.py",
    "alarms.file": "runtime_alarms.py",
    "alarms.channels": "runtime_alarms.py",
    "alarms.webhook": "runtime_alarms.py",
    "alarms.mail": "runtime_alarms.py",
    "alarms.quota_used": "engine/alarms.py",
    "alarms.session_due_min": "engine/due.py",
    "alarms.tsfm_cycles_missed": "engine/due.py",
    "data.recent_sessions": "engine/daily.py",
    "data.dagster_home": "cli/context.py",
    "automation.keep_events_days": "cli/forgetting.py",
    "automation.forget_events_at": "automation/forgetting.py",
    "importing": "cli/importing.py",
    "events.calendar_names": "runtime.py",
    "forecast.api_budget.single_writer": "config/checks.py",
    **{f"tsfm.{key}": file for file, keys in tsfm_reads.READ.items() for key in keys},
}
"""Keys that no run of the graph reads -> the file that does: planning, importing, a rollout's steps, a named file, a
refusal."""


def test_every_setting_is_read_by_something_that_runs(
    settings: Settings, seen: Reads, reads: dict[str, set[str]]
) -> None:
    keys = [".".join(p) for s in SECTIONS for p, _ in flat(getattr(settings, s).model_dump(), (s,))]
    unread = {key for key in keys if not any(key == r or key.startswith(f"{r}.") for r in seen.by_anybody)}
    told = {key for key in keys if any(key == r or key.startswith(f"{r}.") for r in READ_ELSEWHERE)}
    assert unread - told == set(), "read by nobody: take it out, or let something stand on it"
    assert reads
    package = Path(definitions.__file__).parent
    for key, file in READ_ELSEWHERE.items():
        assert f".{key.split('.')[-1]}" in (package / file).read_text(), key
