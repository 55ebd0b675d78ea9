"""A picture as bytes or text: PNG, SVG, Markdown for Dagster metadata. No browser, no network, same bytes each time."""

import base64
import re
from typing import Any

import altair as alt
import vl_convert

from timegpt_assets.reports.pictures.pixels import packed
from timegpt_assets.reports.pictures.style import CONFIG, Picture

MARKDOWN_LIMIT = 60_000
"""Characters of Markdown that a metadata entry may take."""


class PictureError(ValueError):
    """Raised when a picture outgrows its Markdown limit; names the picture, its size and the remedy."""


def spec(picture: Picture) -> dict[str, Any]:
    """Return the Vega-Lite specification, data and house style included."""
    with alt.data_transformers.enable("default", max_rows=None):
        return {**picture.to_dict(), "config": CONFIG}


def png(picture: Picture, *, scale: float = 1.0) -> bytes:
    """Return the picture as PNG, ``scale`` device pixels per pixel of the layout."""
    return packed(vl_convert.vegalite_to_png(spec(picture), scale=scale, allowed_base_urls=[]))


def svg(picture: Picture) -> str:
    """Return the picture as SVG whose texts stay texts."""
    return vl_convert.vegalite_to_svg(spec(picture), allowed_base_urls=[])


def data_uri(picture: Picture, *, scale: float = 1.0) -> str:
    """Return the picture as a PNG ``data:`` URI."""
    return "data:image/png;base64," + base64.b64encode(png(picture, scale=scale)).decode("ascii")


def markdown(picture: Picture, alt_text: str) -> str:
    """Return one Markdown image that carries the PNG within it.

    Raises PictureError above MARKDOWN_LIMIT characters.
    """
    words = re.sub(r"([\\\[\]<>`])", r"\\\1", " ".join(alt_text.split()))
    text = f"![{words}]({data_uri(picture)})"
    if len(text) > MARKDOWN_LIMIT:
        raise PictureError(
            f"picture {alt_text!r} takes {len(text):,} characters of Markdown, {MARKDOWN_LIMIT:,} are allowed. "
            "Draw fewer symbols or days, or store the PNG and link its path."
        )
    return text
