"""What news is made with, of a runtime: who is asked, whose names are known, which model reads what no parser can.

Belongs here: one plain factory per adapter of news, as runtime.py has them for the rest. Keys come from the environment
and are looked up when something is asked.
"""

import time
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Literal, get_args

from timegpt_assets.config.addresses import host
from timegpt_assets.runtime import Runtime, daily_files, ledger

if TYPE_CHECKING:
    from timegpt_assets.adapters.news.breaker import Breaker
    from timegpt_assets.adapters.news.connector import Connector, Shelf
    from timegpt_assets.adapters.news.extractor import Extractor
    from timegpt_assets.adapters.news.raw_store import RawStore
    from timegpt_assets.adapters.news.round import Asked
    from timegpt_assets.adapters.news.sources import NewsSources
    from timegpt_assets.config.news import SourceName
    from timegpt_assets.core.news.directory import Directory

OverTheNetwork = Literal["fred", "gdelt_files", "gdelt_doc"]
NETWORK: tuple[OverTheNetwork, ...] = get_args(OverTheNetwork)
"""Sources that are asked over the network."""


def news_sources(runtime: Runtime) -> "NewsSources":
    """Return the sources that are listed: those of tier 1 are asked first, within a tier in their order."""
    from timegpt_assets.adapters.news.attempts import AttemptLog
    from timegpt_assets.adapters.news.sources import NewsSources

    news = runtime.settings.news
    return NewsSources(
        listed=tuple(_listed(runtime, name) for name in sorted(news.sources, key=lambda name: news.source[name].tier)),
        raw=raw_store(runtime),
        log=AttemptLog(runtime.storage),
        live=news.clock == "live",
    )


def raw_store(runtime: Runtime) -> "RawStore":
    """Return where what was delivered is kept."""
    from timegpt_assets.adapters.news.raw_store import RawStore

    return RawStore(runtime.storage)


def breaker(runtime: Runtime, source: OverTheNetwork) -> "Breaker":
    """Return whether a source may be asked."""
    from timegpt_assets.adapters.news.breaker import Breaker, Rules

    news = runtime.settings.news
    rules, spacing_s = news.breaker.get(source, news.breaker["default"]), news.spacing_s.get(source, 0.0)
    return Breaker(
        objects=runtime.storage,
        source=source,
        rules=Rules(failures=rules.failures, cooldown_s=rules.cooldown_s, successes=rules.successes),
        spacing_s=spacing_s,
        # twice the longest silence of one who asks: a turn that ends in between is given to another
        lease_s=2 * (news.retry.budget_s + news.retry.timeout_s + spacing_s),
        clock=runtime.clock,
        sleep=time.sleep,
    )


def held(runtime: Runtime, source: "SourceName") -> str | None:
    """Return until when a source is left alone, and why; None where it may be asked. Raises BreakerDamaged."""
    return breaker(runtime, source).recorded()[0].held(runtime.clock()) if source in NETWORK else None


def _listed(runtime: Runtime, name: "SourceName") -> "Shelf | Asked":
    if name == "own":
        from timegpt_assets.adapters.news.own import Own

        return Own(raw=raw_store(runtime), live=runtime.settings.news.clock == "live")
    if name == "calendar":
        from timegpt_assets.adapters.news.calendar import Scheduled

        return Scheduled(events=lambda: daily_files(runtime).calendar, store=raw_store(runtime), clock=runtime.clock)
    from timegpt_assets.adapters.news.asking import Asking, Patience
    from timegpt_assets.adapters.news.attempts import AttemptLog
    from timegpt_assets.adapters.news.round import Asked

    return Asked(
        connector=_connector(runtime, name),
        breaker=breaker(runtime, name),
        asking=Asking(
            patience=Patience(**runtime.settings.news.retry.model_dump()),
            log=AttemptLog(runtime.storage),
            clock=runtime.clock,
        ),
        raw=raw_store(runtime),
    )


def _connector(runtime: Runtime, name: OverTheNetwork) -> "Connector":
    from timegpt_assets.adapters.news import fred, gdelt_doc, gdelt_files

    news, address = runtime.settings.news, runtime.settings.news.source[name].base_url
    if name == "fred":
        return fred.Fred(
            series=tuple(news.fred_series),
            releases=bool(news.fred_releases),
            key=lambda: runtime.environment.get(fred.KEY),
            clock=runtime.clock,
            base_url=address or fred.URL,
        )
    if name == "gdelt_doc":
        names = news_names(runtime)
        return gdelt_doc.GdeltDoc(names=lambda day: _called(names, day), base_url=address or gdelt_doc.URL)
    return gdelt_files.GdeltFiles(base_url=address or gdelt_files.URL)


def _called(names: "Directory", day: date) -> Mapping[str, str]:
    """Return symbol of the universe -> what its company is called on a day."""
    valid = names.as_of(day)
    of_symbol = {symbol: valid.tickers.get(symbol, ()) for symbol in names.symbols}
    return {symbol: valid.called[keys[0]] for symbol, keys in of_symbol.items() if keys and keys[0] in valid.called}


def news_names(runtime: Runtime) -> "Directory":
    """Return the names that companies are told of by."""
    from timegpt_assets.adapters.news.aliases import names

    own = runtime.settings.news.aliases_path
    return names(runtime.path(own) if own else None, runtime.settings.universe.everyone)


def headline_reader(runtime: Runtime) -> "Extractor | None":
    """Return the model that reads headlines, None where none is named; its calls stand in the ledger of paid calls."""
    asked = runtime.settings.news.extractor
    if asked.base_url is None or asked.model is None:
        return None
    from timegpt_assets.adapters.ledger.limits import Account
    from timegpt_assets.adapters.news import extractor
    from timegpt_assets.core.news import link

    names, most = news_names(runtime), asked.max_calls_per_day
    return extractor.Extractor(
        base_url=asked.base_url,
        model=asked.model,
        account=Account(host=host(asked.base_url), name=extractor.NAME, per_run=most, per_day=most, cooldown_sec=0.0),
        ledger=ledger(runtime),
        store=raw_store(runtime),
        key=lambda: runtime.environment.get(extractor.KEY),
        known=lambda day: names.as_of(day).tickers,
        named=lambda events: link.shares(events, names),
        clock=runtime.clock,
        news_clock=runtime.settings.news.clock,
        timeout_s=asked.timeout_s,
    )
