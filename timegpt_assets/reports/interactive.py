"""Pictures that answer to the pointer: what their page carries so that hover and zoom work without a network.

Belongs here: the pictures of one page and what they may take together. Every picture is there as SVG or PNG before any
script runs; page.js then draws those in view anew from their specifications, with Vega as vl-convert bundles it
(vega.js.gz: vega, vega-lite and vega-embed, under the licences in NOTICE).
"""

import base64
import gzip
from dataclasses import dataclass, field
from typing import Any

import orjson

from timegpt_assets.reports.html import beside
from timegpt_assets.reports.pictures.render import FIGURE_LIMIT, Draw, figure

ALL_PICTURES = 1_000_000
"""Characters that the pictures of a page may take together."""
SPEC_LIMIT = 400_000
"""Characters of a specification: a larger one stays a still picture."""


@dataclass
class Album:
    """The pictures of one page: how much room is left, and the specification of each that is drawn anew."""

    room: int = ALL_PICTURES
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def figure(self, words: str, draw: Draw, *, pixels: bool = False) -> str:
        """Return the picture as an HTML figure, smaller where the page has no room for more (see render.figure)."""
        made = figure(words, draw, pixels=pixels, limit=min(FIGURE_LIMIT, self.room), keep=self._kept)
        self.room -= len(made)
        return made

    def _kept(self, words: str, spec: dict[str, Any]) -> bool:
        if len(orjson.dumps(spec, default=str)) > SPEC_LIMIT:
            return False
        self.specs[words] = spec
        return True

    def scripts(self) -> str:
        """Return what ends the page's body: packed specifications and Vega, and the script that unpacks them."""
        own = f"<script>{beside('page.js').decode()}</script>"
        if not self.specs:
            return own
        packed = gzip.compress(orjson.dumps(self.specs, default=str, option=orjson.OPT_SORT_KEYS), mtime=0)
        return f"{_data('specs', packed)}{_data('vega', beside('vega.js.gz'))}{own}"


def _data(name: str, packed: bytes) -> str:
    return f'<script type="text/plain" id="{name}">{base64.b64encode(packed).decode("ascii")}</script>\n'
