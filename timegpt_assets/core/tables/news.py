"""Tables of the news: what was delivered, what it says, whom it is about, which tell the same, what each is worth.

Belongs here: declarations only. A day holds what became known after the previous session's close and by its own.
"""

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table
from timegpt_assets.core.tables.columns import BAR_TIME, DAY, FORECASTER, KNOWN_AT, MONTH, SYMBOL

SOURCE = {"source": Column(pl.String, "who delivered it: fred, calendar, own, gdelt_files, gdelt_doc")}
EVENT = {"event_id": Column(pl.String, "sha256 of source, url, title and time: the same news has the same name")}
_HASH = {"content_hash": Column(pl.String, "sha256 of the bytes as delivered; they lie under news/bodies")}

RAW_NEWS = Table(
    name="raw_news",
    columns=DAY
    | SOURCE
    | {
        "asked": Column(pl.String, "what was asked for, secrets left out; the same question is answered once"),
        "fetched_at": Column(TIME, "when it was delivered; null: it never was", True),
        "status": Column(pl.Int64, "HTTP status; 200 for what was read from a file, null where nobody answered", True),
        "failed": Column(pl.String, "why there is no answer that can be used; null: there is one", True),
        "size": Column(pl.Int64, "bytes", True),
        "content_hash": Column(
            pl.String, "sha256 of the bytes as delivered, which lie under news/bodies; null: no answer", True
        ),
    },
    key=("day", "source", "asked"),
)
"""A question without an answer has its row, too: a day on which nobody answered is no day without news."""

NORMALIZED_NEWS = Table(
    name="normalized_news",
    columns=DAY
    | EVENT
    | SOURCE
    | {
        "type": Column(pl.String, "headline, release (a scheduled one) or value (a new vintage of a series)"),
        "title": Column(pl.String, "as people read it: tokenised titles are mended"),
        "url": Column(pl.String, "where it stands, secrets left out", True),
        "tickers": Column(pl.List(pl.String), "whom the source itself names"),
        "series": Column(pl.String, "economic series of a value", True),
        "value": Column(pl.Float64, "of the series; null: withdrawn, or no value", True),
        "surprise": Column(
            pl.Float64, "of a value, in standard deviations of its series' changes; null: nobody can say", True
        ),
        "published_at": Column(TIME, "what the source says; null where it says a date alone", True),
        "fetched_at": Column(TIME, "when it was delivered"),
        "known_at": Column(TIME, "when it may first be used"),
        "extracted_by": Column(pl.String, "language model that read it; null: nobody", True),
    }
    | _HASH,
    key=("day", "event_id"),
)

LINKED_NEWS = Table(
    name="linked_news",
    columns=DAY
    | EVENT
    | {
        "entity": Column(pl.String, "company, ticker or index that it is about"),
        "entity_kind": Column(pl.String, "symbol, company or macro"),
        "symbol": Column(pl.String, "ticker as of that day; null for what is no share", True),
        "method": Column(pl.String, "how it was found: given, cashtag, name, alias, ticker, extracted, market"),
        "confidence": Column(pl.Float64, "0 to 1"),
        "synthetic_link": Column(pl.Boolean, "only the market as a whole matched"),
    },
    key=("day", "event_id", "entity"),
)

NEWS_CLUSTERS = Table(
    name="news_clusters",
    columns=DAY
    | EVENT
    | {
        "cluster_id": Column(pl.String, "event_id of the first that told the story"),
        "first_known_at": Column(TIME, "when the story was first known"),
        "copies": Column(pl.Int64, "events of the story known by then, itself included"),
        "sources": Column(pl.Int64, "sources that had told it by then"),
    },
    key=("day", "event_id"),
)

SCORED_NEWS = Table(
    name="scored_news",
    columns=DAY
    | EVENT
    | SOURCE
    | {name: NORMALIZED_NEWS.columns[name] for name in ("type", "title", "known_at")}
    | {name: LINKED_NEWS.columns[name] for name in ("entity", "entity_kind", "symbol", "method", "synthetic_link")}
    | {
        "cluster_id": NEWS_CLUSTERS.columns["cluster_id"],
        "surprise": NORMALIZED_NEWS.columns["surprise"],
        "tier": Column(pl.Int64, "1 official, 2 a vendor's or one's own, 3 everybody's"),
        "confidence": Column(pl.Float64, "of the source times that of the link"),
        "novelty": Column(pl.Float64, "1 for the first of a story, less for each copy"),
        "quality": Column(pl.Float64, "what it counts, 0 to 1"),
        "used": Column(pl.Boolean, "counts in features and training"),
    },
    key=("day", "event_id", "entity"),
)
"""A day's own events and those of the session before, each once: a day of looking back is in it."""

SOURCE_HEALTH = Table(
    name="source_health",
    columns=DAY
    | SOURCE
    | {
        "attempts": Column(pl.Int64, "questions sent, those again too"),
        "success": Column(pl.Int64, "answers that could be used"),
        "failure": Column(pl.Int64, "answers that could not, and none"),
        "empty_result_count": Column(pl.Int64, "answers without anything where there usually is something"),
        "rate_limit_count": Column(pl.Int64, "refusals for being asked too often"),
        "answered": Column(
            pl.Float64, "share of the day's questions that have an answer by now; null: nothing was to be asked", True
        ),
        "fetch_latency_p50_s": Column(pl.Float64, "seconds; null: nothing was asked", True),
        "fetch_latency_p95_s": Column(pl.Float64, "seconds; null: nothing was asked", True),
        "publish_to_ingest_p95_s": Column(
            pl.Float64, "seconds from published_at to fetched_at, live; null: none", True
        ),
        "breaker": Column(pl.String, "closed, open or probing at the end of the day"),
        "primary": Column(pl.Boolean, "its goals are watched"),
        "good": Column(pl.Boolean, "it meets its goals"),
    },
    key=("day", "source"),
)

NEWS_FEATURES = Table(
    name="news_features",
    columns=DAY | SYMBOL | BAR_TIME | KNOWN_AT,
    key=("day", "symbol", "ts"),
    open=True,
)
"""Further columns: the features of the group news."""

EVENT_ATTRIBUTION = Table(
    name="event_attribution",
    columns=DAY
    | SYMBOL
    | {"snapshot_ts": Column(TIME, "when the forecast is asked")}
    | {
        "feature": Column(pl.String, "news feature that it is behind"),
        "event_id": Column(pl.String, "an event of scored_news; * all that are not named, together"),
        "weight": Column(pl.Float64, "its share of the feature; those of a feature add up to 1"),
        "tier": Column(pl.Int64, f"{SCORED_NEWS.columns['tier'].meaning}; null for *", True),
        "age_min": Column(pl.Float64, "minutes from known_at to the snapshot; null for *", True),
    },
    key=("day", "symbol", "snapshot_ts", "feature", "event_id"),
)
"""A feature that is 0, or not known, has no event behind it."""

_OF_BOTH = {
    name: Column(pl.Float64, f"{said} with the group over that without it, on common rows, in volatilities", True)
    for name, said in (("pinball_ratio", "mean pinball loss"), ("mae_ratio", "mean absolute error"))
}
INFORMATION_VALUE = Table(
    name="information_value",
    columns=MONTH
    | FORECASTER
    | {
        "reason": Column(
            pl.String,
            "why nothing is measured: insufficient_history, no_rows, no_news, reads_no_features; empty: it is",
        ),
        "first_day": Column(pl.Date, "first session learnt from", True),
        "last_day": Column(pl.Date, "last session learnt from", True),
        "learnt_sessions": Column(pl.Int64, "sessions that both arms learnt from"),
        "features": Column(pl.Int64, "features of the group that differ among the rows learnt from"),
        "n": Column(pl.Int64, "rows of the month that both arms answered"),
        "sessions": Column(pl.Int64, "sessions of those rows"),
        "covered": Column(pl.Float64, "share of those rows that know any feature of the group", True),
        "pinball": Column(pl.Float64, "mean pinball loss with the group, in volatilities", True),
        "without_pinball": Column(pl.Float64, "that without it", True),
    }
    | {
        f"{name}{end}": Column(pl.Float64, f"{column.meaning}{said}", True)
        for name, column in _OF_BOTH.items()
        for end, said in (("", ""), ("_low", ", lower end of its 95 % by days"), ("_high", ", upper end of it"))
    }
    | {
        "dm_p": Column(
            pl.Float64, "one-sided Diebold-Mariano p of less being lost with the group; null: no day differs", True
        ),
        "placebo_pinball_ratio": Column(
            pl.Float64, "largest ratio over the same tree with the news of other sessions in its place", True
        ),
        "placebo_dm_p": Column(pl.Float64, "largest p against those; null: one of them says the same", True),
        "control_ratio": Column(pl.Float64, "mean pinball loss with the group over the control arm's, same rows", True),
        "trades": Column(pl.Int64, "entries on the answers with the group, of every symbol alone", True),
        "without_trades": Column(pl.Int64, "those without it", True),
        "net_pnl": Column(pl.Float64, "USD after costs, with the group", True),
        "without_net_pnl": Column(pl.Float64, "USD after costs, without it", True),
        "pnl_difference": Column(pl.Float64, "USD that the group earned", True),
        "seated": Column(
            pl.Boolean,
            "both ratios below 1, both p below a quarter of gates.ladder.dm_p_lt, pnl_difference not below 0",
        ),
    },
    key=("month", "forecaster"),
)
"""Whether the group news was worth anything on a month that neither arm was shown."""
