"""Pictures so small that the UI shows them without a click: SVG in Markdown of less than a thousand characters.

Belongs here: drawing within that bound. Dagster's UI opens Markdown in place below 1,000 characters and hides longer
text behind "Show Markdown"; the pictures of the other files take 20,000 and more.
"""

import re
from collections.abc import Iterable, Sequence

from timegpt_assets.reports.pictures.style import BLUE, MUTED, VERMILION

LIMIT = 999
"""Characters the UI still opens in place."""
WIDE, HIGH = 160, 40
"""Size in units of the drawing; the UI shows it twice as large."""
SKY = "#9cd"
"""The band's shade, in few letters."""


def price_path(words: str, closes: Sequence[float | None], amiss: Iterable[float] = ()) -> str:
    """Return the path of a session's closes, and where in it (0 to 1) rows are amiss as upright strokes."""
    known = [close for close in closes if close is not None]
    low, span = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    step, points, pen = WIDE / max(len(closes) - 1, 1), [], "M"
    for i, close in enumerate(closes):
        # a gap lifts the pen: nothing is drawn where nothing is known
        points += [] if close is None else [f"{pen}{i * step:.0f},{HIGH - (close - low) / span * HIGH:.0f}"]
        pen = "M" if close is None else "L"
    strokes = "".join(f"M{x * WIDE:.0f},0v{HIGH}" for x in sorted(set(amiss))[:8])
    return _image(words, [(VERMILION, 2, strokes), (BLUE, 1, "".join(points))])


def bands(words: str, rows: Sequence[tuple[float, float, float, float, float]]) -> str:
    """Return forecasts side by side: 80 and 50 % bands, and the outcome, vermilion outside the 80 % band.

    ``rows``: (q10, q25, q75, q90, y) of each, in order of time. Of more than fit, one in two or more is drawn, and the
    words say so.
    """
    for one_in in range(1, len(rows) + 1):
        said = words if one_in == 1 else f"{words}, one in {one_in} drawn"
        if len(image := _image(said, _drawn(rows[::one_in]))) <= LIMIT:
            return image
    raise ValueError(f"{words}: not one forecast fits.")


def shares(words: str, rows: Sequence[tuple[float | None, bool]]) -> str:
    """Return a bar each of shares of the whole, vermilion where it is not good; None has no bar."""
    step = WIDE / max(len(rows), 1)
    good, bad = "", ""
    for i, (share, is_good) in enumerate(rows):
        bar = "" if share is None else f"M{(i + 0.5) * step:.0f},{HIGH}v-{max(share * HIGH, 1):.0f}"
        good, bad = (good + bar, bad) if is_good else (good, bad + bar)
    wide = max(2, min(16, int(step / 2)))
    return _image(words, [(BLUE, wide, good), (VERMILION, wide, bad)])


def _drawn(rows: Sequence[tuple[float, float, float, float, float]]) -> list[tuple[str, int, str]]:
    low, high = min(min(row) for row in rows), max(max(row) for row in rows)
    span, step = (high - low) or 1.0, WIDE / len(rows)
    wide, narrow, inside, outside = "", "", "", ""
    for i, (q10, q25, q75, q90, y) in enumerate(rows):
        x = f"{(i + 0.5) * step:.0f}"
        a, b, c, d, at = (round(HIGH - (value - low) / span * HIGH) for value in (q10, q25, q75, q90, y))
        wide += f"M{x},{d}V{a}"
        narrow += f"M{x},{c}V{b}"
        dot = f"M{x},{at}h1"
        inside, outside = (inside + dot, outside) if q10 <= y <= q90 else (inside, outside + dot)
    return [(SKY, 4, wide), (BLUE, 4, narrow), ("#000", 4, inside), (VERMILION, 4, outside)]


def _image(words: str, paths: Iterable[tuple[str, int, str]]) -> str:
    """Return Markdown of an SVG of (colour, width, path) strokes; empty paths are left out."""
    drawn = "".join(f"<path d='{path}' stroke='{ink}' stroke-width='{width}'/>" for ink, width, path in paths if path)
    frame = f"<path d='M0,0H{WIDE}V{HIGH}H0z' stroke='{MUTED}' stroke-width='.2'/>"
    size = f"width='{2 * WIDE}' height='{2 * HIGH}' viewBox='0 0 {WIDE} {HIGH}'"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' {size} fill='none'>{frame}{drawn}</svg>"
    # Markdown ends an address at blanks and brackets, an address at a hash
    address = svg.replace("#", "%23").replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    plain = re.sub(r"([\\\[\]<>`])", r"\\\1", words)  # a ticker may hold what Markdown takes for a link
    # the words stand above the picture, too: an image alone says nothing to who cannot see it drawn
    return f"{plain}\n\n![](data:image/svg+xml,{address})"
