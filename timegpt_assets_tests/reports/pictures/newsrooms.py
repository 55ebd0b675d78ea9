"""A small newsroom for tests of pictures, reports and metrics: one source answers, one is refused, one is not asked."""

from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.tables.columns import CONTROL, TREE
from timegpt_assets.core.tables.news import INFORMATION_VALUE, SOURCE_HEALTH
from timegpt_assets.reports.news import News
from timegpt_assets_tests.reports.pictures.frames import framed, sessions

DAYS = sessions(6)
REFUSED_ON = DAYS[3]
USUAL: dict[str, Any] = {
    "attempts": 100,
    "success": 98,
    "failure": 2,
    "empty_result_count": 1,
    "rate_limit_count": 0,
    "answered": 1.0,
    "fetch_latency_p50_s": 0.25,
    "fetch_latency_p95_s": 1.5,
    "publish_to_ingest_p95_s": 90.0,
    "breaker": "closed",
    "primary": True,
    "good": True,
}
REFUSED = {"success": 50, "failure": 40, "attempts": 90, "rate_limit_count": 31, "answered": 0.52, "good": False}
REFUSED |= {"breaker": "open"}
SILENT = {"attempts": 0, "success": 0, "failure": 0, "empty_result_count": 0, "answered": None, "primary": False}
SILENT |= dict.fromkeys(("fetch_latency_p50_s", "fetch_latency_p95_s", "publish_to_ingest_p95_s"))


def health() -> pl.DataFrame:
    """Return SOURCE_HEALTH: gdelt_files is refused on one session, of own nothing was to be asked."""
    rows = [{"day": day, "source": "fred"} | USUAL for day in DAYS]
    rows += [{"day": day, "source": "own"} | USUAL | SILENT for day in DAYS]
    rows += [{"day": day, "source": "gdelt_files"} | USUAL | (REFUSED if day == REFUSED_ON else {}) for day in DAYS]
    return framed(SOURCE_HEALTH, rows)


def value(month: str = "2024-03", ratio: float = 1.004, p: float = 0.8, gained: float = -120.5) -> pl.DataFrame:
    """Return INFORMATION_VALUE of a month: the tree's row and the control arm's."""
    about = {"month": month, "as_of": date.fromisoformat(f"{month}-21"), "learnt_sessions": 200, "features": 12}
    ratios = {"pinball_ratio": ratio, "pinball_ratio_low": ratio - 0.01, "pinball_ratio_high": ratio + 0.01}
    money = {"trades": 40, "without_trades": 38, "net_pnl": gained, "without_net_pnl": 0.0, "pnl_difference": gained}
    measured = {"reason": "", "n": 1800, "sessions": 20, "covered": 0.9, "dm_p": p} | ratios | money
    seated = ratio < 1 and p < 0.05 and gained >= 0
    rows = [
        about | {"forecaster": CONTROL, "reason": "reads_no_features: it does not"},
        about | {"forecaster": TREE, "seated": seated} | measured,
    ]
    return framed(INFORMATION_VALUE, rows)


def unmeasured(month: str = "2024-03") -> pl.DataFrame:
    """Return INFORMATION_VALUE of a month with too few before it."""
    rows = [
        {
            "month": month,
            "as_of": date.fromisoformat(f"{month}-21"),
            "forecaster": word,
            "reason": "insufficient_history",
        }
        for word in (CONTROL, TREE)
    ]
    return framed(INFORMATION_VALUE, rows)


def news(**changed: Any) -> News:
    """Return what a report knows of these."""
    usual: dict[str, Any] = {"health": health(), "values": value(), "success_min": 0.95}
    return News(**(usual | {"publish_to_ingest_p95_s": 120.0} | changed))
