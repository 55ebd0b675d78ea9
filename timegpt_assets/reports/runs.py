"""Runs side by side: what differs in their settings, and in what came of them.

Belongs here: the page of a comparison, and the file in which a report says under which settings and from which tables
it was made. What is counted on common rows is core/evaluation/runs.py.
"""

import orjson

from timegpt_assets.reports.figures import Report

SETTINGS = "settings.json"


def settings_file(report: Report, *, storage: str) -> bytes:
    """Return the settings a report was made under and where its tables lie, as JSON; secrets are redacted."""
    said = {setting.key: {"value": setting.value, "origin": setting.origin} for setting in report.settings}
    about = {"month": report.month, "profile": report.profile, "champion": report.champion, "storage": storage}
    return orjson.dumps(about | {"settings": said}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
