"""A picture as bytes or text: PNG, SVG, Markdown for Dagster metadata. No browser, no network, same bytes each time.

Belongs here: the one guard, too. A picture is never worth a run: ``note`` and ``figure`` draw it smaller, or say in its
place why it is not there.
"""

import base64
import logging
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import altair as alt
import polars as pl
import vl_convert

from timegpt_assets.reports.pictures.pixels import packed
from timegpt_assets.reports.pictures.style import CONFIG, Picture

Draw = Callable[[], Picture]

MARKDOWN_LIMIT = 60_000
"""Characters of Markdown that a metadata entry may take."""
FIGURE_LIMIT = 250_000
"""Characters that a picture may take on a page."""
SCALES = (1.0, 0.7, 0.5, 0.35)
"""Sizes a picture is drawn in, until it fits."""
# a panic inside polars is no Exception
FAILURES = (Exception, pl.exceptions.PanicException)
_LOG = logging.getLogger(__name__)


def spec(picture: Picture) -> dict[str, Any]:
    """Return the Vega-Lite specification, data and house style included."""
    # altair refuses more than 5,000 rows; lifted for this one picture, whoever else uses altair finds it as it was
    with alt.data_transformers.enable("default", max_rows=None):
        return {**picture.to_dict(), "config": CONFIG}


def png(picture: Picture, *, scale: float = 1.0) -> bytes:
    """Return the picture as PNG, ``scale`` device pixels per pixel of the layout."""
    return _png(spec(picture), scale)


def svg(picture: Picture) -> str:
    """Return the picture as SVG whose texts stay texts."""
    return _svg(spec(picture))


def data_uri(picture: Picture, *, scale: float = 1.0) -> str:
    """Return the picture as a PNG ``data:`` URI."""
    return f"data:image/png;base64,{_base64(png(picture, scale=scale))}"


def _png(drawn: dict[str, Any], scale: float) -> bytes:
    return packed(vl_convert.vegalite_to_png(drawn, scale=scale, allowed_base_urls=[]))


def _svg(drawn: dict[str, Any]) -> str:
    return vl_convert.vegalite_to_svg(drawn, allowed_base_urls=[])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def note(words: str, draw: Draw) -> str:
    """Return one Markdown image that carries the PNG within it, smaller where it would outgrow MARKDOWN_LIMIT.

    Never raises: a picture that cannot be drawn, or fits at no size, is a sentence that says so.
    """
    # words may be a ticker or a file's name: Markdown must not take them for a link
    plain = re.sub(r"([\\\[\]<>`])", r"\\\1", " ".join(words.split()))

    def image(picture: Picture, scale: float) -> str:
        smaller = "" if scale == 1 else f"\n\nDrawn at {scale:.0%} of its size, to fit here."
        return f"![{plain}]({data_uri(picture, scale=scale)}){smaller}"

    return _fitted(plain, draw, image, SCALES, MARKDOWN_LIMIT)


def figure(
    words: str,
    draw: Draw,
    *,
    pixels: bool = False,
    limit: int = FIGURE_LIMIT,
    keep: Callable[[str, dict[str, Any]], bool] = lambda words, spec: False,
) -> str:
    """Return the picture as an HTML figure: SVG, or an image where ``pixels`` says so or the SVG is too large.

    Its title is the figure's caption. ``keep`` is handed the specification without it and says whether the page draws
    it anew. Never raises: a picture that cannot be drawn, or is too large even so, is a sentence that says so.
    """

    def form(picture: Picture, scale: float) -> str:
        drawn = spec(picture)
        caption, told = _captioned(drawn.pop("title", ""), words)
        # scale 0 stands for SVG, whose texts stay texts
        if scale:
            still = f'<img alt="{told}" src="data:image/png;base64,{_base64(_png(drawn, scale))}">'
        else:
            still = _inline(_svg(drawn), told)
        still = f'{caption}<div class="still">{still}</div>'
        if not keep(words, drawn):
            return f"<figure>{still}</figure>"
        return f'<figure data-picture="{escape(words)}">{still}<div class="live"></div></figure>'

    scales = (2.0, *SCALES)
    text = _fitted(words, draw, form, scales if pixels else (0.0, *scales), limit)
    return text if text.startswith("<figure") else f'<p class="notice">{escape(text)}</p>'


def _captioned(title: Any, words: str) -> tuple[str, str]:
    """Return the title of a specification as a caption, and as the one text for who cannot see the picture."""
    title = title if isinstance(title, dict) else {"text": title}
    main, more = str(title.get("text") or words), str(title.get("subtitle") or "")
    more_said = f"<span>{escape(more)}</span>" if more else ""
    return f"<figcaption><strong>{escape(main)}</strong>{more_said}</figcaption>", escape(f"{words}: {main}. {more}")


def _fitted(words: str, draw: Draw, form: Callable[[Picture, float], str], scales: Sequence[float], limit: int) -> str:
    """Return the picture in the first of the scales that is within the limit, or what stopped it, in words."""
    try:
        picture = draw()
        for scale in scales:
            if len(text := form(picture, scale)) <= limit:
                return text
    except FAILURES as error:
        _LOG.warning("%s: the picture could not be drawn", words, exc_info=True)
        return f"{words}: the picture could not be drawn ({type(error).__name__}). Its rows are stored all the same."
    return f"{words}: the picture is too large at any size. Its rows are stored all the same."


def _inline(drawn: str, told: str) -> str:
    """Return the SVG with what it shows in words, and without name space declarations, which HTML does not need."""
    for name_space in (' xmlns="http://www.w3.org/2000/svg"', ' xmlns:xlink="http://www.w3.org/1999/xlink"'):
        drawn = drawn.replace(name_space, "", 1)
    return drawn.replace("<svg", f'<svg role="img" aria-label="{told}"', 1)
