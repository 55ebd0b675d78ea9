"""Doors to the outside world for Dagster: what runs are handed, made when a run first needs it, shown in the UI.

Belongs here: Dagster's resources. Their fields are what the UI shows of them; what stands behind each is made by
runtime.py. The runtime is handed on as a nested resource and no field holds a key: secrets stay in the environment.
"""

from collections.abc import Collection, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa

from timegpt_assets import resources_news, resources_tsfm
from timegpt_assets import runtime as runtimes
from timegpt_assets.adapters.forecaster import HostedForecaster
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.models.ladder import Ladder
from timegpt_assets.adapters.models.publishing import Publisher
from timegpt_assets.adapters.search.studies import Studies
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.promotion_record import PromotionRecord
from timegpt_assets.adapters.storage.rollout_record import NAME, TSFM_NAME, RolloutRecord
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.config.addresses import PROVIDER_URL
from timegpt_assets.config.settings import Row, resolved
from timegpt_assets.io_managers import AnswersIOManager, TableIOManager
from timegpt_assets.runtime import GS, Clock, MarketData, Runtime

if TYPE_CHECKING:
    from google.cloud import storage


class ApiBudget(dg.ConfigurableResource["ApiBudget"]):
    """What may be spent on calls and whose money it is; what is left of it is counted in the call ledger."""

    host: str
    account: str
    per_run: int
    per_day: int
    per_month: int | None
    cooldown_sec: float
    price_per_call: float | None
    timezone: str
    ledger: str
    runtime: dg.ResourceDependency[Runtime]

    @property
    def limits(self) -> Account:
        """Return whose money is spent, and its limits."""
        return Account(
            host=self.host,
            name=self.account,
            per_run=self.per_run,
            per_day=self.per_day,
            per_month=self.per_month,
            cooldown_sec=self.cooldown_sec,
            price_per_call=self.price_per_call,
            timezone=self.timezone,
        )

    @cached_property
    def books(self) -> BudgetLedger:
        """Return the call ledger; it is opened at first use."""
        return runtimes.ledger(self.runtime)

    def left(self, run_id: str = "") -> dict[str, int]:
        """Return the calls that each limit still allows to the run."""
        return self.books.left(self.limits, run_id)

    def reserve(self, entries: Sequence[LedgerEntry], run_id: str) -> dict[str, LedgerEntry]:
        """Return the calls granted, by request hash: all that nobody holds or has answered, or none at all."""
        return self.books.reserve(entries, self.limits, budget_run_id=run_id)

    def settle(self, calls: Collection[LedgerEntry]) -> None:
        """Give back those of the calls that were reserved and never sent; what was sent is settled by who sent it."""
        self.books.release(calls)

    def freeze(self, why: str) -> None:
        """Stop every send of every process at once."""
        self.books.freeze(why)

    def thaw(self) -> None:
        """Let calls be sent again."""
        self.books.thaw()


class PaidSeat(dg.ConfigurableResource[HostedForecaster | None]):
    """Who is asked for money: TimeGPT within its budget and with its cache, or nobody."""

    backend: str
    api_mode: str
    model: str
    base_url: str
    trusted_hosts: list[str]
    timeout_s: float
    max_attempts: int
    max_failed_calls: int
    on_ambiguous: str
    on_doubt: str
    api_budget: dg.ResourceDependency[ApiBudget]
    answers_io_manager: dg.ResourceDependency[AnswersIOManager]
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> HostedForecaster | None:
        """Return the forecaster, made of what the other two resources hold; None where nobody is paid."""
        if self.backend == "baseline":
            return None
        budget, answers = self.api_budget, self.answers_io_manager
        return runtimes.timegpt(self.runtime, budget.limits, budget.books, answers.cache)


class FreeSeats(dg.ConfigurableResource[LocalForecasters]):
    """Who answers on this machine, for nothing."""

    forecasters: list[str]
    run_source: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> LocalForecasters:
        """Return the forecasters."""
        return runtimes.local_forecasters(self.runtime.settings)


class LadderOfMonths(dg.ConfigurableResource[Ladder]):
    """Who of the model ladder is seated, and where the artifacts lie that answer."""

    forecasters: list[str]
    registry: str
    believed: list[str]
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> Ladder:
        """Return the ladder."""
        return runtimes.ladder(self.runtime)


class ModelPublisher(dg.ConfigurableResource[Publisher]):
    """Where a month's models go, and in whose name."""

    registry: str
    signed: bool
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> Publisher:
        """Return who publishes them."""
        return runtimes.publisher(self.runtime)


class BarsSource(dg.ConfigurableResource[MarketData]):
    """Where raw bars come from."""

    source: str
    place: str
    template: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> MarketData:
        """Return the source of bars."""
        return runtimes.market_data(self.runtime)


class DailySource(dg.ConfigurableResource[DailyFiles]):
    """The daily files that settings name, and the event calendar with what they add to it."""

    vix_path: str | None
    calendar_path: str | None
    earnings_path: str | None
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> DailyFiles:
        """Return what the files say."""
        return runtimes.daily_files(self.runtime)


class AppliedSettings(dg.ConfigurableResource["AppliedSettings"]):
    """What this code location runs under: the profile, and every setting that a shipped file does not say."""

    profile: str
    folder: str
    said: dict[str, str]
    runtime: dg.ResourceDependency[Runtime]

    @property
    def every(self) -> tuple[Row, ...]:
        """Return every setting with its origin, what looks secret redacted."""
        return resolved(self.runtime.settings)

    @property
    def storage(self) -> str:
        """Return where the tables lie: a folder's whole path, or a bucket's address."""
        place = self.runtime.settings.data.storage_root
        return place if place.startswith(GS) else str(self.runtime.path(place))


class WallClock(dg.ConfigurableResource[Clock]):
    """What time it is."""

    timezone: str = "UTC"
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> Clock:
        """Return the process's clock."""
        return self.runtime.clock


class Artifacts(dg.ConfigurableResource[ObjectStore]):
    """Where exports and reports are kept."""

    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> ObjectStore:
        """Return the place as what bytes are kept in."""
        return self.runtime.object_store(self.place)


class LineageBook(dg.ConfigurableResource[LineageStore]):
    """What every lineage id stands for."""

    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> LineageStore:
        """Return the records kept beside the tables."""
        return LineageStore(self.runtime.object_store(self.place))


class Trials(dg.ConfigurableResource[TrialStore]):
    """Which combinations of rule values were ever tried, on whose forecasts and which sessions."""

    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> TrialStore:
        """Return the records kept beside the tables."""
        return TrialStore(self.runtime.object_store(self.place))


class StoredTables(dg.ConfigurableResource[ParquetStore]):
    """The tables as they are stored: for what reads other partitions than its inputs can name."""

    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> ParquetStore:
        """Return the store."""
        return ParquetStore(self.runtime.object_store(self.place))


class SearchStudies(dg.ConfigurableResource[Studies]):
    """Where a search's trials are kept; the address of a server stays in the environment."""

    storage: str
    folder: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> Studies:
        """Return the studies."""
        return runtimes.studies(self.runtime)


class Promotions(dg.ConfigurableResource[PromotionRecord]):
    """What was promoted and demoted, and when: which symbols are live on a day."""

    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> PromotionRecord:
        """Return the record kept beside the tables."""
        return PromotionRecord(self.runtime.object_store(self.place))


class Rollouts(dg.ConfigurableResource[RolloutRecord]):
    """Who was rolled out how far, and when: whose trades ``live`` holds on a day."""

    place: str
    name: str = NAME
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> RolloutRecord:
        """Return the record kept beside the tables."""
        return RolloutRecord(self.runtime.object_store(self.place), self.name)


class Tables(dg.ConfigurableIOManagerFactory[TableIOManager]):
    """Where every table is kept: a parquet file per asset and day or month."""

    place: str
    manager: dg.ResourceDependency[TableIOManager]

    def create_io_manager(self, context: dg.InitResourceContext) -> TableIOManager:
        """Return the IO manager of every asset that names no other."""
        return self.manager


class Answers(dg.ConfigurableIOManagerFactory[AnswersIOManager]):
    """The table of the asset answers, and the cache of paid answers its rows are made of."""

    place: str
    cache: str
    host: str
    manager: dg.ResourceDependency[TableIOManager]
    runtime: dg.ResourceDependency[Runtime]

    def create_io_manager(self, context: dg.InitResourceContext) -> AnswersIOManager:
        """Return the IO manager that knows which stored answers the rows of a table are made of."""
        return AnswersIOManager(tables=self.manager, cache=runtimes.forecast_cache(self.runtime), host=self.host)


@cache
def bucket_client() -> "storage.Client":
    """Return the process's Cloud Storage client as dagster-gcp makes it."""
    from dagster_gcp import GCSResource  # 4 s of imports: only where a place is a bucket

    return GCSResource().get_client()


def resources(runtime: Runtime, tables: TableIOManager) -> dict[str, Any]:
    """Return the resource definitions of the outside world, each made when a run first needs it."""
    settings = runtime.settings
    data, events = settings.data, settings.events
    budget = api_budget(runtime)
    answers = Answers(
        place=data.storage_root,
        cache=settings.forecast.cache_dir,
        host=budget.host,
        manager=tables,
        runtime=runtime,
    )
    found: dict[str, Any] = {
        "settings": applied_settings(runtime),
        "api_budget": budget,
        "answers_io_manager": answers,
        "hosted_forecaster": _hosted_forecaster(runtime, budget, answers),
        "local_forecasters": FreeSeats(
            forecasters=list(settings.forecast.local_forecasters), run_source=settings.run_source, runtime=runtime
        ),
        "ladder": LadderOfMonths(
            forecasters=list(settings.forecast.ladder),
            registry=data.storage_root,
            believed=sorted(settings.models.public_keys),
            runtime=runtime,
        ),
        "publisher": ModelPublisher(
            registry=data.storage_root, signed=runtimes.signer(runtime) is not None, runtime=runtime
        ),
        "market_data": BarsSource(
            source=data.source, place=data.bucket or data.root or "", template=data.template, runtime=runtime
        ),
        "daily_files": DailySource(
            vix_path=data.vix_path,
            calendar_path=events.calendar_path,
            earnings_path=events.earnings_path,
            runtime=runtime,
        ),
        "clock": WallClock(runtime=runtime),
        "artifacts": Artifacts(place=data.artifacts_root, runtime=runtime),
        "lineage_book": LineageBook(place=data.storage_root, runtime=runtime),
        "promotions": Promotions(place=data.storage_root, runtime=runtime),
        "rollouts": Rollouts(place=data.storage_root, runtime=runtime),
        "band_rollout": Rollouts(place=data.storage_root, name=TSFM_NAME, runtime=runtime),
        "trials": Trials(place=data.storage_root, runtime=runtime),
        "stored_tables": StoredTables(place=data.storage_root, runtime=runtime),
        "studies": SearchStudies(storage=settings.search.storage, folder=settings.search.folder, runtime=runtime),
        "io_manager": Tables(place=data.storage_root, manager=tables),
    }
    return found | resources_news.resources(runtime) | resources_tsfm.resources(runtime) | _cloud_storage(runtime)


def applied_settings(runtime: Runtime) -> AppliedSettings:
    """Return the resource that shows the settings: key -> value and where it was said."""
    shipped = ("configs/", "preset ")
    said = {
        row.key: f"{row.value} ({row.origin})"
        for row in resolved(runtime.settings)
        if row.key != "profile" and not row.origin.startswith(shipped)
    }
    return AppliedSettings(profile=runtime.settings.profile, folder=str(runtime.root), said=said, runtime=runtime)


def api_budget(runtime: Runtime) -> ApiBudget:
    """Return the resource of the account that pays."""
    account = runtimes.account(runtime.settings)
    return ApiBudget(
        host=account.host,
        account=account.name,
        per_run=account.per_run,
        per_day=account.per_day,
        per_month=account.per_month,
        cooldown_sec=account.cooldown_sec,
        price_per_call=account.price_per_call,
        timezone=account.timezone,
        ledger=sa.make_url(runtimes.ledger_url(runtime)).render_as_string(hide_password=True),
        runtime=runtime,
    )


def _hosted_forecaster(runtime: Runtime, budget: ApiBudget, answers: Answers) -> PaidSeat:
    forecast = runtime.settings.forecast
    return PaidSeat(
        backend=forecast.backend,
        api_mode=forecast.api_mode,
        model=forecast.model,
        base_url=forecast.base_url or PROVIDER_URL,
        trusted_hosts=list(forecast.trusted_hosts),
        timeout_s=forecast.timeout_s,
        max_attempts=forecast.max_attempts,
        max_failed_calls=forecast.max_failed_calls,
        on_ambiguous=forecast.on_ambiguous,
        on_doubt=forecast.on_doubt,
        api_budget=budget,
        answers_io_manager=answers,
        runtime=runtime,
    )


def _cloud_storage(runtime: Runtime) -> dict[str, Any]:
    data, cache_dir = runtime.settings.data, runtime.settings.forecast.cache_dir
    places = (data.storage_root, data.artifacts_root, cache_dir)
    if data.source != "gcs" and not any(place.startswith(GS) for place in places):
        return {}
    from dagster_gcp import GCSResource

    return {"gcs": GCSResource()}
