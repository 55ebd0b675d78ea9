"""HTML of pages: the document, its sections and tables. Every value is text and never markup.

Belongs here: how parts of any page look. What stands on a page is page.py and promotion.py; how it looks is page.css.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import resources

from timegpt_assets.reports.pictures.render import FAILURES

MOST_ROWS = 500
"""Rows of a table that are shown; all of them are stored."""
VERDICTS = ("passed", "failed", "insufficient")
_LOG = logging.getLogger(__name__)


def beside(name: str) -> bytes:
    """Return a file that lies beside this module."""
    return resources.files("timegpt_assets.reports").joinpath(name).read_bytes()


def document(words: str, parts: Sequence[str], *, last: str = "") -> str:
    """Return the whole file under a title; ``last`` ends its body."""
    title, style = escape(words), beside("page.css").decode()
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style>"
    )
    body = f"<main><h1>{title}</h1>\n{''.join(parts)}</main>\n{last}"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def section(title: str, *parts: str) -> str:
    """Return the parts under a heading that contents can point to; nothing where there is no part."""
    if not any(parts):
        return ""
    return f'<section id="{anchor(title)}"><h2>{escape(title)}</h2>\n{"".join(parts)}</section>\n'


def anchor(title: str) -> str:
    """Return the name a section goes by in an address."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def contents(sections: Iterable[str]) -> str:
    """Return links to the sections, as ``section`` made them."""
    titles = [found.groups() for part in sections if (found := re.match(r'<section id="([^"]*)"><h2>(.*?)</h2>', part))]
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in titles)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'


def part(words: str, make: Callable[[], str], say: Callable[[str], str] | None = None) -> str:
    """Return the part, or why it is not there, as ``say`` puts it: no part of a page is worth a run."""
    try:
        return make()
    except FAILURES as error:
        _LOG.warning("%s: this part of the report could not be made", words, exc_info=True)
        told = f"{words}: this part could not be made ({type(error).__name__}). Its rows are stored all the same."
        return (say or notice)(told)


def notice(words: str) -> str:
    """Return a sentence that must be seen."""
    return f'<p class="notice">{escape(words)}</p>'


def said(words: str) -> str:
    """Return a sentence."""
    return f"<p>{escape(words)}</p>"


def folded(summary: str, *parts: str, tone: str = "", printed: bool = True) -> str:
    """Return the parts behind their summary; opened by a click, and on paper where it is ``printed``."""
    kind = "" if printed else ' class="unprinted"'
    return f'<details{kind}><summary class="{tone}">{escape(summary)}</summary>{"".join(parts)}</details>'


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and values, one pair a line."""
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f'<div class="wide"><table class="pairs">{"".join(lines)}</table></div>'


def cards(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return (name, figure, what it rests on) as cards."""
    made = (
        f'<div class="card"><dt>{escape(name)}</dt><dd><b>{escape(figure)}</b><small>{escape(words)}</small></dd></div>'
        for name, figure, words in rows
    )
    return f'<dl class="cards">{"".join(made)}</dl>'


def table(
    columns: Sequence[str], rows: Sequence[tuple[object, ...]], *, sortable: bool = False, most: int = MOST_ROWS
) -> str:
    """Return the rows as a table, the first ``most`` of them; a sortable one can be searched, too."""
    if not rows:
        return "<p>no rows</p>"
    counts = [all(_is_number(value) for value in column) for column in zip(*rows[:most], strict=True)]
    head = "".join(
        f'<th scope="col"{_RIGHT if right else ""}>{escape(name.replace("_", " "))}</th>'
        for name, right in zip(columns, counts, strict=True)
    )
    lines = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows[:most])
    cut = f"<p>The first {most:,} of {len(rows):,} rows.</p>" if len(rows) > most else ""
    kind = ' class="sortable"' if sortable else ""
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>{cut}'


def figure(value: object) -> str:
    """Return a number as it is read: four digits, or whole from a thousand on."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}"


_RIGHT = ' class="number"'


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return f"<td{_RIGHT}>–</td>"
    if _is_number(value):
        return f"<td{_RIGHT}>{escape(figure(value))}</td>"
    # tickers and reasons come from files: text, never markup
    words = escape(str(value))
    return f'<td class="{words}">{words}</td>' if words in VERDICTS else f"<td>{words}</td>"
