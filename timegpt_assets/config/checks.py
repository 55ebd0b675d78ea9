"""Settings that must fit each other, and are refused when they do not.

Belongs here: rules that look at more than one key, or that a type cannot say. Each yields refusals (key, what is
allowed, remedy); faults.py adds file and value. What is only worth a warning stands in advisories.py, what is asked of
the second system in tsfm_checks.py.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from timegpt_assets.config import tsfm_checks
from timegpt_assets.config.addresses import PROVIDER_HOST, is_loopback, unfit
from timegpt_assets.config.alarms import Alarms
from timegpt_assets.config.forecasting import Forecast
from timegpt_assets.config.market import Data, Events, Features, Universe
from timegpt_assets.config.news import News
from timegpt_assets.config.refusal import Refusal, Refusals
from timegpt_assets.config.research import Search, TradingGrid
from timegpt_assets.config.rollout import Rollout
from timegpt_assets.config.seats import unaccompanied, unseated
from timegpt_assets.config.strategy import Backtest, Gates, Trading
from timegpt_assets.core.backtest.rules import OWN_SIGMA
from timegpt_assets.core.events import EARNINGS, EventCalendar
from timegpt_assets.core.features import news
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.features.volatility import IN_SCALE_OF_Y
from timegpt_assets.core.forecasts.exogenous import CLOCK, PROJECTED, STEP
from timegpt_assets.core.news.project import MISSING
from timegpt_assets.core.research.search_windows import Window, WindowError, spans

OPEN, CLOSE = time(9, 30), time(16, 0)
HOUR = re.compile(r"09|1[0-5]")
GS = "gs://"


def modes(profile: str, data: Data, forecast: Forecast) -> Refusals:
    """Refuse pairs of profile, backend and api_mode outside docs/explanation/semantics.md, Modes."""
    host = forecast.host
    if profile == "demo" and forecast.backend != "baseline":
        yield Refusal("forecast.backend", "baseline in profile demo", "Use --profile dev, offline or prod for nixtla.")
    if profile in ("offline", "prod") and forecast.backend != "nixtla":
        yield Refusal("forecast.backend", f"nixtla in profile {profile}", "Use --profile demo or dev for the baseline.")
    if forecast.backend == "baseline":
        return
    wanted = {"dev": ("online", "simulate"), "offline": ("offline",), "prod": ("online",)}.get(profile)
    if wanted and forecast.api_mode not in wanted:
        remedy = f"Set forecast.api_mode={wanted[0]}, or choose another profile."
        yield Refusal("forecast.api_mode", f"{' or '.join(wanted)} in profile {profile}", remedy)
    if profile == "dev" and host in (*forecast.trusted_hosts, PROVIDER_HOST):
        yield Refusal("forecast.base_url", "a local server in profile dev", "Set forecast.base_url, or use prod.")
    if profile == "prod" and host and host not in forecast.trusted_hosts:
        remedy = f"Leave forecast.base_url null, or add {host} to forecast.trusted_hosts."
        yield Refusal("forecast.base_url", "a host of forecast.trusted_hosts in profile prod", remedy)
    if profile == "prod" and data.source == "synthetic":
        yield Refusal("data.source", "gcs or local in profile prod", "Use --profile demo for a made-up market.")


def seats(forecast: Forecast) -> Refusals:
    """Refuse challengers whom nobody has heard of, and a blend without those it is made of."""
    words, champion = forecast.challengers, forecast.champion
    if wrong := unseated(words, champion=champion) or unaccompanied(words, champion=champion):
        yield Refusal("forecast.challengers", *wrong)


def addresses(forecast: Forecast) -> Refusals:
    """Refuse addresses that a key must not be sent to."""
    if forecast.base_url and (wrong := unfit(forecast.base_url)):
        yield Refusal("forecast.base_url", *wrong)


def keyed_addresses(news: News) -> Refusals:
    """Refuse addresses of news that a key must not be sent to, and a model that has no name where it is asked."""
    for key, address in (
        ("news.source.fred.base_url", news.source["fred"].base_url),
        ("news.extractor.base_url", news.extractor.base_url),
    ):
        if address and (wrong := unfit(address)):
            yield Refusal(key, *wrong)
    if news.extractor.base_url and not news.extractor.model:
        yield Refusal(
            "news.extractor.model", "the model's name where base_url is set", "Name it, or leave base_url null."
        )


def mails(alarms: Alarms) -> Refusals:
    """Refuse mails without a server, a sender or a recipient, and a password that would go over the net unhidden."""
    mail, wanted = alarms.mail, "mail" in alarms.channels
    for key, example in (
        ("host", "smtp.example.org"),
        ("sender", "alarms@example.org"),
        ("recipients", "[me@here.org]"),
    ):
        if wanted and not getattr(mail, key):
            yield Refusal(
                f"alarms.mail.{key}", "something where alarms.channels lists mail", f"Write it, like {example}."
            )
    if mail.user and mail.host and mail.security == "none" and not is_loopback(f"http://{mail.host}"):
        remedy = "Write starttls, or set alarms.mail.user=null."
        yield Refusal("alarms.mail.security", "starttls or tls where somebody logs in", remedy)


def storage(data: Data, forecast: Forecast) -> Refusals:
    """Refuse shared storage with a ledger that only one machine can see."""
    budget = forecast.api_budget
    in_buckets = [at for at in (data.storage_root, forecast.cache_dir) if at.startswith(GS)]
    shared = bool(in_buckets) and forecast.backend == "nixtla"
    if shared and not budget.single_writer and not (budget.ledger_url or "").startswith("postgresql"):
        remedy = "Set a postgresql:// address, or forecast.api_budget.single_writer=true if one machine writes."
        yield Refusal(
            "forecast.api_budget.ledger_url", "PostgreSQL when data.storage_root or forecast.cache_dir is gs://", remedy
        )


def places(data: Data) -> Refusals:
    """Refuse a gs:// address without a bucket, and Dagster's own records in one."""
    for key, place in (("storage_root", data.storage_root), ("artifacts_root", data.artifacts_root)):
        if place.startswith(GS) and not place.removeprefix(GS).partition("/")[0]:
            yield Refusal(f"data.{key}", "a folder or gs://bucket/prefix", "Name the bucket after gs://.")
    if data.dagster_home.startswith(GS):
        yield Refusal("data.dagster_home", "a folder of this machine", "Keep Dagster's records on a disk.")


def exogenous(forecast: Forecast, events: Events, features: Features, universe: Universe, data: Data) -> Refusals:
    """Refuse columns that nobody makes or can tell of beforehand, and columns that are said to be both."""
    named = {*events.dates, *(events.calendar_names if events.calendar_path else ())}
    spec = FeatureSpec(
        groups=features.groups,
        context=universe.context,
        vix=data.vix_path is not None,
        calendar=EventCalendar(dict.fromkeys(named, ()), symbols={EARNINGS: {}} if events.earnings_path else {}),
        needed=frozenset({forecast.sigma_column, forecast.target.volatility_column}),
    )
    made = {feature.name for feature in spec.features}
    future, historic = forecast.exogenous.future, forecast.exogenous.historic
    known = (*CLOCK, STEP, *(name for name in PROJECTED if name in made), *sorted(named))
    if unknown := ", ".join(name for name in future if name not in known):
        remedy = f"Take out {unknown}; what is no clock, no event and not projected belongs in historic."
        yield Refusal("forecast.exogenous.future", " | ".join(known), remedy)
    silent = {feature.name for feature in news.FEATURES if feature.name not in MISSING}
    if told := ", ".join(name for name in historic if name in silent):
        remedy = f"Take out {told}: on a day without an answer it is not known, and no forecast would be asked."
        yield Refusal("forecast.exogenous.historic", "features that are known whoever is silent", remedy)
    if unmade := ", ".join(name for name in historic if name not in made | silent):
        remedy = f"Take out {unmade}, or add its group to features.groups (docs/reference/features.md)."
        yield Refusal("forecast.exogenous.historic", "features that are made", remedy)
    if both := ", ".join(sorted(set(future) & set(historic))):
        yield Refusal("forecast.exogenous.historic", "columns that are not in future", f"Take out {both}.")


def request_size(forecast: Forecast) -> Refusals:
    """Refuse a limit that not even one symbol with its shortest history fits into."""
    least = forecast.framing.least_rows
    columns = 1 + len(forecast.exogenous.future) + len(forecast.exogenous.historic)
    needed = 1024 + 64 + 16 * columns * (least + forecast.horizon_min)
    if forecast.max_bytes_per_call < needed:
        remedy = f"Raise it, or lower forecast.framing.provider_min_samples = {least}."
        yield Refusal("forecast.max_bytes_per_call", f"at least {needed}", remedy)


def dates(data: Data, forecast: Forecast) -> Refusals:
    """Refuse a span that ends before it starts, and time zones that do not exist."""
    if data.end_date is not None and data.end_date < data.start_date:
        remedy = f"Give a day on or after {data.start_date}, or null for today."
        yield Refusal("data.end_date", "a day not before data.start_date", remedy)
    for key, zone in (("data.timezone", data.timezone), ("forecast.api_budget.timezone", forecast.api_budget.timezone)):
        if not _zone_exists(zone):
            yield Refusal(key, "an IANA time zone", "Write it like America/New_York or UTC.")


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def symbols(universe: Universe) -> Refusals:
    """Refuse an empty universe, repeated symbols and names that would leave their folder."""
    if not universe.tickers:
        yield Refusal("universe.tickers", "at least one symbol", "Name the symbols to forecast, e.g. [AAPL, MSFT].")
    for key in ("tickers", "context", "sectors"):
        names = tuple(getattr(universe, key))
        repeated = sorted({name for name in names if names.count(name) > 1})
        bad = [name for name in names if not re.fullmatch(r"[A-Z0-9^][A-Z0-9^=-]*(\.[A-Z0-9]+)*", name)]
        if repeated:
            yield Refusal(f"universe.{key}", "every symbol once", f"Take out the second {', '.join(repeated)}.")
        if bad:
            remedy = f"Mend {', '.join(bad)}: capitals, digits and inner dots as in BRK.B, no path."
            yield Refusal(f"universe.{key}", "ticker symbols", remedy)


def whole_levels(forecast: Forecast) -> Refusals:
    """Refuse quantiles the provider cannot be asked for: their band's level is no whole number of percent."""
    for quantile in forecast.quantiles:
        if not _whole_level(quantile):
            yield Refusal("forecast.quantiles", "quantiles q with a whole level 100*|1-2q|", _level_remedy(quantile))
    if list(forecast.quantiles) != sorted(forecast.quantiles):
        yield Refusal("forecast.quantiles", "ascending quantiles", f"Write {sorted(forecast.quantiles)}.")


def _whole_level(quantile: float) -> bool:
    level = 100 * abs(1 - 2 * quantile)
    # In floats the level of 0.35 is 30.000000000000004.
    return abs(level - round(level)) < 1e-9


def _level_remedy(quantile: float) -> str:
    level = 100 * abs(1 - 2 * quantile)
    near = round(level) / 200
    nearest = 0.5 - near if quantile < 0.5 else 0.5 + near
    return f"{quantile} means level {level:g}; write {nearest:g} instead."


def snapshot_times(forecast: Forecast) -> Refusals:
    """Refuse an unknown preset, and snapshots outside the session."""
    for name, preset in forecast.snapshot_presets.items():
        if outside := [at for at in preset.times if not OPEN <= at <= CLOSE]:
            remedy = f"Move {_listed(outside)} into the session."
            yield Refusal(f"forecast.snapshot_presets.{name}.times", "times from 09:30 to 16:00", remedy)
    if forecast.snapshot_preset not in forecast.snapshot_presets:
        remedy = "Choose one of these, or add the preset under forecast.snapshot_presets."
        yield Refusal("forecast.snapshot_preset", " | ".join(forecast.snapshot_presets), remedy)


def possible_snapshots(forecast: Forecast, in_grid: bool) -> Refusals:
    """Refuse chosen snapshots that cannot exist in a full session; a grid combination keeps those that can."""
    preset, horizon = forecast.snapshot_presets.get(forecast.snapshot_preset), timedelta(minutes=forecast.horizon_min)
    # Times outside the session are refused by snapshot_times already.
    inside = [at for at in preset.times if OPEN <= at <= CLOSE] if preset and not in_grid else []
    bad = [at for at in inside if _on(at) < _on(OPEN) + horizon or _on(at) + horizon > _on(CLOSE)]
    if bad:
        key = f"forecast.snapshot_presets.{forecast.snapshot_preset}.times"
        remedy = f"Move {_listed(bad)}, or lower forecast.horizon_min ({forecast.horizon_min})."
        yield Refusal(key, "snapshots from open + horizon_min to close - horizon_min", remedy)


def _on(at: time) -> datetime:
    return datetime.combine(date(2000, 1, 1), at)  # any day: only differences count


def _listed(times: list[time]) -> str:
    return ", ".join(f"{at:%H:%M}" for at in times)


def event_names(events: Events, forecast: Forecast, trading: Trading) -> Refusals:
    """Refuse to skip an event the calendar does not hold."""
    names = {**events.dates, **(events.calendar_names if events.calendar_path else {})}
    known = " | ".join(names) or "no event is known"
    for section, skipped in (("forecast", forecast.skip_events), ("trading", trading.skip_events)):
        if unknown := [name for name in skipped if name not in names]:
            remedy = f"Give {', '.join(unknown)} its days under events.dates, or take it out."
            yield Refusal(f"{section}.skip_events", known, remedy)


def released_events(events: Events, news: News) -> Refusals:
    """Refuse a series or release that has the time of day of an event the calendar does not hold."""
    names = {**events.dates, **(events.calendar_names if events.calendar_path else {})}
    known = " | ".join(["null", *names])
    for key, named in (("news.fred_series", news.fred_series), ("news.fred_releases", news.fred_releases)):
        for what, event in named.items():
            if event and event not in names:
                yield Refusal(f"{key}.{what}", known, f"Give {event} its days under events.dates, or null.")


def news_at_home(news: News) -> Refusals:
    """Refuse an address of what lies on this machine: nobody would be asked there."""
    for name in ("calendar", "own"):
        if (source := news.source.get(name)) and source.base_url:
            remedy = f"Leave it null: what {name} tells lies on this machine."
            yield Refusal(f"news.source.{name}.base_url", "null", remedy)


def liquidity(features: Features) -> Refusals:
    """Refuse percentiles of a normal liquidity that leave nothing between them."""
    if features.liquidity.low >= features.liquidity.high:
        remedy = "Write the lower percentile first, for example low: 0.2 and high: 0.8."
        yield Refusal("features.liquidity.low", "less than features.liquidity.high", remedy)


def volatilities(features: Features, forecast: Forecast, trading: Trading) -> Refusals:
    """Refuse a volatility that no feature holds, and one to trade in that is not stored."""
    asked = {"forecast.sigma_column": forecast.sigma_column}
    asked["forecast.target.volatility_column"] = forecast.target.volatility_column
    for key, name in asked.items():
        if name not in IN_SCALE_OF_Y:
            yield Refusal(key, f"one of {', '.join(IN_SCALE_OF_Y)}", "Name one of these.")
    stored = stored_volatilities(features, forecast)
    if trading.sigma not in stored:
        yield _unstored("trading.sigma_column", stored)


def stored_volatilities(features: Features, forecast: Forecast) -> Collection[str]:
    if "volatility" in features.groups:
        return IN_SCALE_OF_Y
    return sorted({forecast.sigma_column, forecast.target.volatility_column})


def _unstored(key: str, stored: Collection[str]) -> Refusal:
    remedy = "Name one of these, or add volatility to features.groups."
    return Refusal(key, f"one of {', '.join(stored)}", remedy)


def grids(trading_grid: TradingGrid, trading: Trading, features: Features, forecast: Forecast) -> Refusals:
    """Refuse a grid that nobody wrote, one without a rule, and values no bar or feature could be traded by."""
    if trading_grid.grid not in trading_grid.grids:
        remedy = "Choose one of these, or add the grid under trading_grid.grids."
        yield Refusal("trading_grid.grid", " | ".join(trading_grid.grids) or "no grid is there", remedy)
    stored = stored_volatilities(features, forecast)
    for name, grid in trading_grid.grids.items():
        key = f"trading_grid.grids.{name}"
        if not grid.dimensions:
            yield Refusal(key, "a rule with its values", "Write one, e.g. k_sigma: [0.5, 1.0], or take the grid out.")
        if not all(OPEN < at <= CLOSE for at in grid.time_stop_et):
            yield Refusal(f"{key}.time_stop_et", "times after 09:30, at most 16:00", 'Write them like ["15:55"].')
        named = {column for column in grid.sigma_column if column}
        if named - set(IN_SCALE_OF_Y):
            yield _unstored(f"{key}.sigma_column", IN_SCALE_OF_Y)
        # what is stored is asked of the chosen grid alone, as nobody sweeps the others, and a house without their
        # volatility must load; a rule set trades in its own volatility where nobody names one
        elif name == trading_grid.grid:
            own = set() if trading.sigma_column or named else {OWN_SIGMA[rules] for rules in grid.rule_set}
            if (named | own) - set(stored):
                yield _unstored(f"{key}.{'sigma_column' if named else 'rule_set'}", stored)


def searched(search: Search, trading_grid: TradingGrid, gates: Gates, forecast: Forecast) -> Refusals:
    """Refuse grids that are not there or name a rule twice, folders in a bucket, and sessions that meet."""
    grids_there = " | ".join(trading_grid.grids)
    asked = {name: getattr(search, name) for name in ("outer", "inner")}
    for name, grid in asked.items():
        if grid not in trading_grid.grids:
            yield Refusal(f"search.{name}", grids_there, "Choose one of these, or add it under trading_grid.grids.")
    found = [set(trading_grid.grids[grid].dimensions) for grid in asked.values() if grid in trading_grid.grids]
    if len(found) == len(asked) and (twice := sorted(set.intersection(*found))):
        remedy = f"Take {', '.join(twice)} out of one of the two grids."
        yield Refusal("search.inner", f"a grid without the rules of search.outer ({asked['outer']})", remedy)
    if search.forecaster and search.forecaster not in forecast.forecasters:
        remedy = "Choose one of these, add it to forecast.challengers, or set it to null: the champion."
        yield Refusal("search.forecaster", " | ".join(forecast.forecasters), remedy)
    if search.folder.startswith(GS):
        yield Refusal("search.folder", "a folder of this machine", "Keep studies on a disk, or set search.storage.")
    stages = search.stages
    # without a last session of their own they lie one after the other, and nothing can meet
    if gates.oos_start and (stages.coarse.until or stages.refine.until):
        windows = (Window(sessions=one.sessions, until=one.until) for one in (stages.coarse, stages.refine))
        try:
            spans(*windows, oos_start=gates.oos_start)
        except WindowError as error:
            yield Refusal(error.key, error.allowed, error.remedy)


def costs(backtest: Backtest, gates: Gates) -> Refusals:
    """Refuse gates that read a cost multiple which is not measured."""
    asked = {
        "promotion.sharpe_cost_multiplier": gates.promotion.sharpe_cost_multiplier,
        "promotion.pnl_cost_multiplier": gates.promotion.pnl_cost_multiplier,
        "trading_gates.pnl_cost_multiplier": gates.trading_gates.pnl_cost_multiplier,
    }
    for key, multiple in asked.items():
        if multiple not in backtest.cost_multipliers:
            remedy = f"Add {multiple:g} to backtest.cost_multipliers, or choose one of them."
            yield Refusal(f"gates.{key}", f"one of {list(backtest.cost_multipliers)}", remedy)


def rules(trading: Trading) -> Refusals:
    """Refuse a time stop outside the session, and horizons that end before they begin."""
    for symbol, (least, most) in trading.horizons_min.items():
        if least > most:
            yield Refusal(
                f"trading.horizons_min.{symbol}", "the shortest, then the longest", f"Write [{most}, {least}]."
            )
    if not OPEN < trading.time_stop_et <= CLOSE:
        yield Refusal("trading.time_stop_et", "a time after 09:30, at most 16:00", "Write it like 15:55.")


def rates(trading: Trading) -> Refusals:
    """Refuse an hour where a rate has none, and one in which nobody trades: neither would ever be looked up."""
    for setting in ("fees_bps", "half_spread_ticks", "borrow_bps", "slippage_ticks", "slippage_bps"):
        hourly = setting.startswith("slippage")
        for name in getattr(trading, setting):
            _, at, hour = name.partition("@")
            if at and not (hourly and HOUR.fullmatch(hour)):
                allowed = "symbol: number, or symbol@HH: number for a New York hour, 09 to 15"
                remedy = f"Write {name.partition('@')[0]}{'@10, for example' if hourly else ' alone'}."
                yield Refusal(f"trading.{setting}.{name}", allowed if hourly else "symbol: number", remedy)


def rollouts(rollout: Rollout) -> Refusals:
    """Refuse a rollout whose share falls from a phase to the next: who traded the challenger would trade it no more."""
    shares = rollout.shares
    if shares.canary > shares.ramp:
        remedy = f"Raise rollout.shares.ramp, or lower rollout.shares.canary to at most {shares.ramp}."
        yield Refusal("rollout.shares.ramp", f"at least rollout.shares.canary, {shares.canary}", remedy)


REFUSALS: tuple[tuple[Callable[..., Refusals], tuple[str, ...]], ...] = (
    (modes, ("profile", "data", "forecast")),
    (seats, ("forecast",)),
    (addresses, ("forecast",)),
    (exogenous, ("forecast", "events", "features", "universe", "data")),
    (request_size, ("forecast",)),
    (storage, ("data", "forecast")),
    (places, ("data",)),
    (dates, ("data", "forecast")),
    (symbols, ("universe",)),
    (whole_levels, ("forecast",)),
    (snapshot_times, ("forecast",)),
    (possible_snapshots, ("forecast", "in_grid")),
    (event_names, ("events", "forecast", "trading")),
    (released_events, ("events", "news")),
    (keyed_addresses, ("news",)),
    (news_at_home, ("news",)),
    (liquidity, ("features",)),
    (volatilities, ("features", "forecast", "trading")),
    (grids, ("trading_grid", "trading", "features", "forecast")),
    (searched, ("search", "trading_grid", "gates", "forecast")),
    (costs, ("backtest", "gates")),
    (rules, ("trading",)),
    (rates, ("trading",)),
    (rollouts, ("rollout",)),
    (mails, ("alarms",)),
    *tsfm_checks.REFUSALS,
)
"""Each check with the sections it reads; it runs when all of them are valid by themselves."""


def refusals(sections: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """Return everything the checks refuse in the sections that are there."""
    return tuple(
        refusal
        for check, names in REFUSALS
        if all(name in sections for name in names)
        for refusal in check(*(sections[name] for name in names))
    )
