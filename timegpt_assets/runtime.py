"""What a process runs with: settings, folder, environment, clock, and the adapter behind each name. No Dagster.

Belongs here: Runtime, and one plain factory per adapter that settings choose or fill; each imports its adapter when it
is called, so that a wrong setting is refused before any of them is loaded. Secrets come from the environment given, are
required at use, and are kept nowhere.
"""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from dotenv import dotenv_values

from timegpt_assets.adapters.call_errors import LedgerUnusable
from timegpt_assets.adapters.search.study_errors import URL, StudyError
from timegpt_assets.config import core_inputs, files
from timegpt_assets.config.addresses import PROVIDER_URL, host
from timegpt_assets.config.errors import ConfigError, Fault
from timegpt_assets.config.redaction import Redaction
from timegpt_assets.config.settings import Settings, load_settings, settings_in
from timegpt_assets.config.shipped import CHECKOUT
from timegpt_assets.core.tables.columns import CONTROL, LADDER, RUN_SOURCES

if TYPE_CHECKING:
    from google.cloud import storage

    from timegpt_assets.adapters.ledger.ledger import BudgetLedger
    from timegpt_assets.adapters.ledger.limits import Account
    from timegpt_assets.adapters.local_forecasters import LocalForecasters
    from timegpt_assets.adapters.market.daily_files import DailyFiles
    from timegpt_assets.adapters.models.ladder import Ladder, Loaded
    from timegpt_assets.adapters.models.publishing import Publisher
    from timegpt_assets.adapters.models.registry import ModelRegistry
    from timegpt_assets.adapters.models.signing import Signer
    from timegpt_assets.adapters.search.studies import Studies
    from timegpt_assets.adapters.storage.object_store import ObjectStore
    from timegpt_assets.adapters.timegpt.cache import ForecastCache
    from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
    from timegpt_assets.adapters.timegpt.request_index import Index, Size

Clock = Callable[[], datetime]


class MarketData(Protocol):
    """Where raw bars come from."""

    def bars(self, symbols: Any, days: Any) -> pl.DataFrame:
        """Return the RAW_BARS rows of those symbols and sessions."""
        ...


def now() -> datetime:
    """Return the wall clock, UTC: the one place that reads it."""
    return datetime.now(UTC)


@cache
def cloud_client() -> "storage.Client":
    """Return the process's Cloud Storage client; credentials are the machine's own (application default)."""
    from google.cloud import storage

    return storage.Client()


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What a process runs with: settings, folder that relative places start from, environment, clock.

    The environment holds keys, so it is in no repr. ``buckets`` gives the Cloud Storage client: inside Dagster that of
    the resource ``gcs``.
    """

    settings: Settings
    root: Path
    environment: Mapping[str, str] = field(repr=False)
    clock: Clock = now
    buckets: "Callable[[], storage.Client]" = field(default=cloud_client, repr=False)
    models: "Loaded" = field(default_factory=dict, repr=False, compare=False)
    """The models of the ladder that this process has verified and loaded."""

    def path(self, path: str) -> Path:
        """Return a configured path, made absolute."""
        return (self.root / Path(path).expanduser()).resolve()

    def object_store(self, path: str, *, mode: int = 0o644) -> "ObjectStore":
        """Return a configured place, a folder or ``gs://bucket/prefix``, as what bytes are kept in.

        ``mode``: who may read new files of a folder; who may read a bucket is the bucket's own affair.
        """
        if not path.startswith(GS):
            from timegpt_assets.adapters.storage.object_store import LocalStore

            return LocalStore(self.path(path), mode=mode)
        from timegpt_assets.adapters.storage.gcs import GcsStore

        bucket, _, prefix = path.removeprefix(GS).partition("/")
        return GcsStore(self.buckets, bucket, prefix.strip("/"))

    @property
    def storage(self) -> "ObjectStore":
        """Return where every stored table is kept."""
        return self.object_store(self.settings.data.storage_root)

    @property
    def logs(self) -> Path:
        """Return the folder of the stages' logs: on this machine, since a bucket takes no lines."""
        place = self.settings.data.artifacts_root
        return self.path("logs" if place.startswith(GS) else f"{place}/logs")

    @property
    def redacted(self) -> Redaction:
        """Return what takes the environment's secrets out of a text."""
        return Redaction(self.environment)

    @property
    def artifacts(self) -> "ObjectStore":
        """Return where exports and reports are kept."""
        return self.object_store(self.settings.data.artifacts_root)


def working_folder() -> Path:
    """Return the folder that relative places start from: the current one, or the checkout this is run from.

    In a checkout the current folder counts where it holds settings of its own, ``configs``.
    """
    here = Path.cwd()
    return here if CHECKOUT is None or settings_in(here / "configs") else CHECKOUT


def environment(root: Path | None = None) -> dict[str, str]:
    """Return the process environment, with what ``.env`` in the folder (the working folder) adds to it."""
    # what the process was given stands over the file
    return _dotenv((root or working_folder()) / ".env") | dict(os.environ)


def _dotenv(file: Path) -> dict[str, str]:
    """Return what the file gives, nothing where there is none. Raises ConfigError for one that cannot be read."""
    try:
        found = dotenv_values(stream=io.StringIO(files.text(file)), interpolate=False)  # a key may hold a $
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Mend the file, or take it away."
        fault = Fault(file=str(file), key=".env", value=str(error), allowed="NAME=value lines in UTF-8", remedy=remedy)
        raise ConfigError([fault]) from error
    return {name: value for name, value in found.items() if value is not None}


def load_runtime(
    overrides: Sequence[str] = (),
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    grid: Mapping[str, Any] | None = None,
    config_dir: Path | None = None,
) -> Runtime:
    """Return the settings and places of this process: profile and folder from the environment unless given.

    Settings of one's own lie in ``config_dir``, or the folder that ``TIMEGPT_ASSETS_CONFIG_DIR`` names, else in
    ``configs`` of the working folder; relative places start from the folder that holds them. ``grid`` is one
    combination of a forecast grid (dotted key -> value). ``TIMEGPT_ASSETS_SET`` carries --set values, one a line, from
    the command line to the processes it starts.
    """
    found = environment() if environ is None else environ
    own = working_folder() / "configs"
    if named := config_dir or found.get("TIMEGPT_ASSETS_CONFIG_DIR"):
        own = Path(named).expanduser().resolve()
    settings = load_settings(
        profile=profile or found.get("TIMEGPT_ASSETS_PROFILE"),
        config_dir=own if named or settings_in(own) else None,
        overrides=[*said_before(found), *overrides],
        environment=found,
        grid=grid,
    )
    return Runtime(settings=settings, root=own.parent, environment=found)


def said_before(environ: Mapping[str, str]) -> list[str]:
    """Return the --set values that the environment carries."""
    return [line for line in environ.get("TIMEGPT_ASSETS_SET", "").splitlines() if line]


def inherited_settings(said: Sequence[str]) -> str:
    """Return --set values as the environment carries them to processes that are started, one a line."""
    return "\n".join(" ".join(value.split("\n")) for value in said)


GS = "gs://"


def market_data(runtime: Runtime) -> MarketData:
    """Return the source of bars that ``data.source`` names."""
    data = runtime.settings.data
    if data.source == "synthetic":
        from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket

        made_up, universe = data.synthetic, runtime.settings.universe
        return SyntheticMarket(
            symbols=universe.tickers,
            context=universe.context,
            seed=made_up.seed,
            predictability=made_up.predictability,
            interaction=made_up.interaction,
            missing_rate=made_up.missing_rate,
        )
    from timegpt_assets.adapters.market.limits import Limits

    reading, limits = core_inputs.reading(runtime.settings), Limits(**data.limits.model_dump())
    if data.source == "local":
        from timegpt_assets.adapters.market.market_data import LocalMarketData

        return LocalMarketData(runtime.path(data.required_root), data.template, reading, limits)
    from timegpt_assets.adapters.market.bucket_market import BucketMarketData

    objects = runtime.object_store(f"{GS}{data.required_bucket.removeprefix(GS)}")
    return BucketMarketData(objects, data.template, reading, limits)


def answer_index(runtime: Runtime, books: "BudgetLedger") -> "Index":
    """Return the stored answers by snapshot."""
    from timegpt_assets.adapters.timegpt.request_index import Index

    settings = runtime.settings
    return Index(
        host=account(settings).host,
        model=settings.forecast.model,
        levels=core_inputs.levels(settings),
        settings_digest=settings.digest(SHAPES_A_BODY),
        size=size(settings),
        cache=forecast_cache(runtime),
        ledger=books,
    )


def daily_files(runtime: Runtime) -> "DailyFiles":
    """Return what the daily files say that settings name, and the event calendar with what they add to it."""
    from timegpt_assets.adapters.market.daily_files import DailyFiles, earnings, macro_events, vix_closes
    from timegpt_assets.adapters.market.limits import Limits

    settings, events = runtime.settings, runtime.settings.events
    vix, limits = settings.data.vix_path, Limits(**settings.data.limits.model_dump())
    calendar = core_inputs.event_calendar(settings)
    if events.calendar_path:
        macro = runtime.path(events.calendar_path)
        calendar = macro_events(macro, events.calendar_names, calendar, limits=limits)
    if events.earnings_path:
        calendar = earnings(runtime.path(events.earnings_path), calendar, limits=limits)
    return DailyFiles(vix_closes(runtime.path(vix), limits=limits) if vix else None, calendar)


def size(settings: Settings) -> "Size":
    """Return what one request may weigh."""
    from timegpt_assets.adapters.timegpt.request_index import Size

    forecast, extra = settings.forecast, settings.forecast.exogenous
    return Size(
        max_bytes=forecast.max_bytes_per_call,
        least_rows=forecast.framing.least_rows,
        columns=1 + len(extra.future) + len(extra.historic),
        ahead=forecast.horizon_min if extra.future else 0,
    )


def forecast_cache(runtime: Runtime) -> "ForecastCache":
    """Return the paid answers, shared by all profiles."""
    from timegpt_assets.adapters.storage.object_store import LocalStore
    from timegpt_assets.adapters.storage.private import close_to_others
    from timegpt_assets.adapters.timegpt.cache import ForecastCache, folder

    # 0o600: what was paid for, and what was asked, is its owner's alone
    objects = runtime.object_store(runtime.settings.forecast.cache_dir, mode=0o600)
    if isinstance(objects, LocalStore):
        close_to_others(objects.path(folder(account(runtime.settings).host)))  # closes what is in it, whatever its mode
    return ForecastCache(objects)


def local_forecasters(settings: Settings) -> "LocalForecasters":
    """Return the forecasters on this machine."""
    from timegpt_assets.adapters.local_forecasters import LocalForecasters
    from timegpt_assets.adapters.plug_ins import PlugIn

    forecast, shipped = settings.forecast, core_inputs.shipped_forecasters(settings)
    return LocalForecasters(
        seats=tuple(
            shipped.get(word) or PlugIn(word=word) for word in forecast.local_forecasters if word not in LADDER
        ),
        levels=core_inputs.levels(settings),
        run_source=settings.run_source,
        control=shipped[CONTROL],
    )


def ladder(runtime: Runtime) -> "Ladder":
    """Return who of the ladder is seated, and where their models lie."""
    from timegpt_assets.adapters.models.ladder import Ladder

    settings, calendar = runtime.settings, daily_files(runtime).calendar
    return Ladder(
        registry=model_registry(runtime),
        names={word: core_inputs.model_name(settings, word) for word in settings.forecast.ladder},
        expected=core_inputs.expected(settings, calendar),
        rows=core_inputs.row_spec(settings, calendar),
        is_live=settings.run_source == RUN_SOURCES["prod"],
        loaded=runtime.models,
    )


def timegpt(runtime: Runtime, account: "Account", books: "BudgetLedger", answers: "ForecastCache") -> "TimeGPT":
    """Return the hosted forecaster; its key is asked for when something must be sent.

    Its account, ledger and cache stand outside the profiles: one key, one budget.
    """
    from timegpt_assets.adapters.timegpt.forecaster import TimeGPT

    settings, forecast = runtime.settings, runtime.settings.forecast
    return TimeGPT(
        api_key=lambda: runtime.environment.get("TIMEGPT_API_KEY") or runtime.environment.get("NIXTLA_API_KEY"),
        model=forecast.model,
        levels=core_inputs.levels(settings),
        settings_digest=settings.digest(SHAPES_A_BODY),
        features_hash=core_inputs.feature_spec(settings, core_inputs.event_calendar(settings)).features_hash,
        profile=settings.profile,
        account=account,
        cache=answers,
        ledger=books,
        clock=runtime.clock,
        base_url=forecast.base_url or PROVIDER_URL,
        api_mode=forecast.api_mode,
        trusted_hosts=forecast.trusted_hosts,
        timeout_sec=forecast.timeout_s,
        size=size(settings),
        max_attempts=forecast.max_attempts,
        max_failed_calls=forecast.max_failed_calls,
        on_ambiguous=forecast.on_ambiguous,
        on_doubt=forecast.on_doubt,
        artifacts=runtime.artifacts,
    )


def model_registry(runtime: Runtime) -> "ModelRegistry":
    """Return where models lie; in prod nothing is believed that nobody known signed."""
    from timegpt_assets.adapters.models.registry import ModelRegistry

    settings = runtime.settings
    demanded = settings.run_source == RUN_SOURCES["prod"]
    return ModelRegistry(runtime.storage, settings.models.public_keys, demanded, settings.profile)


def signer(runtime: Runtime) -> "Signer | None":
    """Return who signs models, None where the environment has no key; it is read whenever something is signed."""
    from timegpt_assets.adapters.models.signing import SIGNING_KEY, Signer

    if not runtime.environment.get(SIGNING_KEY):
        return None
    return Signer(lambda: runtime.environment.get(SIGNING_KEY), runtime.settings.models.public_keys)


def publisher(runtime: Runtime) -> "Publisher":
    """Return where a month's models go, and in whose name."""
    from timegpt_assets.adapters.models.publishing import Publisher

    settings = runtime.settings
    return Publisher(
        registry=model_registry(runtime),
        signer=signer(runtime),
        clock=runtime.clock,
        universe=settings.profile,
        made_under=core_inputs.expected(settings, daily_files(runtime).calendar),
        seed=settings.models.seed,
    )


def studies(runtime: Runtime) -> "Studies":
    """Return where a search's trials are kept. Raises StudyError for a PostgreSQL whose address nobody gave."""
    from timegpt_assets.adapters.ledger.process_identity import place
    from timegpt_assets.adapters.search.studies import Studies

    asked = runtime.settings.search
    url = runtime.environment.get(URL) if asked.storage == "postgresql" else None
    if asked.storage == "postgresql" and not url:
        raise StudyError(
            f"search.storage is postgresql, and {URL} is not set. Put the address into the environment or .env, like "
            f"{URL}=postgresql://user@host/database, or set search.storage=journal."
        )
    return Studies(folder=runtime.path(asked.folder), owner=place(), processes=asked.workers, url=url)


def account(settings: Settings) -> "Account":
    """Return whose money is spent, and its limits."""
    from timegpt_assets.adapters.ledger.limits import Account

    budget = settings.forecast.api_budget
    return Account(
        host=host(settings.forecast.base_url or PROVIDER_URL),
        name=budget.account,
        per_run=budget.per_run,
        per_day=budget.per_day,
        per_month=budget.per_month,
        cooldown_sec=budget.cooldown_sec,
        price_per_call=budget.price_per_call,
        timezone=budget.timezone,
    )


def ledger_url(runtime: Runtime) -> str:
    """Return the ledger's address: ``forecast.api_budget.ledger_url``, or its file's."""
    budget = runtime.settings.forecast.api_budget
    return budget.ledger_url or f"sqlite:///{runtime.path(budget.ledger_file)}"


def ledger(runtime: Runtime) -> "BudgetLedger":
    """Return the call ledger, its reservations held for longer than the slowest request and the longest pause.

    Raises LedgerUnusable where an earlier one would be forgotten.
    """
    from timegpt_assets.adapters.ledger.ledger import LEASE_SEC, LONGEST_WAIT_SEC, BudgetLedger

    forecast, url = runtime.settings.forecast, ledger_url(runtime)
    _refuse_forgetting(runtime)
    # a lease that ends while a call is honestly under way would let another process pay for it again
    held = 2 * forecast.timeout_s + forecast.api_budget.cooldown_sec + LONGEST_WAIT_SEC + 60
    return BudgetLedger(
        url.replace("postgresql://", "postgresql+psycopg2://", 1), clock=runtime.clock, lease_sec=max(LEASE_SEC, held)
    )


def _refuse_forgetting(runtime: Runtime) -> None:
    """Raise LedgerUnusable where no ledger is yet and an earlier version's lies beside the cache."""
    forecast = runtime.settings.forecast
    if forecast.api_budget.ledger_url or forecast.cache_dir.startswith(GS):
        return
    ours = runtime.path(forecast.api_budget.ledger_file)
    earlier = runtime.path(forecast.cache_dir).parent / "call_ledger.sqlite"
    # an empty ledger allows the whole budget once more
    if not ours.exists() and earlier.exists():
        raise LedgerUnusable(
            f"The call ledger lies at {earlier}, forecast.api_budget.ledger_file names {ours}, where none is: what was "
            f"spent would be forgotten. Set forecast.api_budget.ledger_file={earlier}, or move it there."
        )


SHAPES_A_BODY = (
    "data.source",
    "data.synthetic",
    "forecast.target",
    "forecast.framing",
    "forecast.history_days",
    "forecast.history_mode",
    "forecast.exogenous",
)
"""Settings that shape a request beside model, horizon and levels: with others of them a snapshot is another one."""
