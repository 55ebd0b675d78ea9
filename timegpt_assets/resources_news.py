"""Doors to the news for Dagster: who is asked, by which names companies are told of, and who reads what no parser can.

Belongs here: Dagster's resources of the news, as resources.py has those of all.
"""

from typing import Any

import dagster as dg

from timegpt_assets import runtime_news
from timegpt_assets.adapters.news.desk import HeadlineReader, Newswire
from timegpt_assets.core.news.directory import Directory
from timegpt_assets.runtime import Runtime


class NewsDesk(dg.ConfigurableResource[Newswire]):
    """Who is asked for news, by which clock it is known, and where what they deliver is kept."""

    sources: list[str]
    clock: str
    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> Newswire:
        """Return the sources that are listed."""
        return runtime_news.news_sources(self.runtime)


class NewsNames(dg.ConfigurableResource[Directory]):
    """The names that companies are told of by: those that are shipped, and one's own file."""

    aliases_path: str | None
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> Directory:
        """Return all names of all days."""
        return runtime_news.news_names(self.runtime)


class NewsReader(dg.ConfigurableResource[HeadlineReader | None]):
    """The language model that reads what no parser can, or nobody; its key stays in the environment."""

    base_url: str | None
    model: str | None
    max_calls_per_day: int
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> HeadlineReader | None:
        """Return the model; None where no address is set."""
        return runtime_news.headline_reader(self.runtime)


def resources(runtime: Runtime) -> dict[str, Any]:
    """Return the resource definitions of the news."""
    news, place = runtime.settings.news, runtime.settings.data.storage_root
    return {
        "news_sources": NewsDesk(sources=list(news.sources), clock=news.clock, place=place, runtime=runtime),
        "news_names": NewsNames(aliases_path=news.aliases_path, runtime=runtime),
        "headline_reader": NewsReader(
            base_url=news.extractor.base_url,
            model=news.extractor.model,
            max_calls_per_day=news.extractor.max_calls_per_day,
            runtime=runtime,
        ),
    }
