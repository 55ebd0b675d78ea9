"""The site that `make docs` builds into site/: every Markdown page of the project, searchable, read without a network.

Belongs here: what Sphinx is told, how diagrams are drawn, and the table of contents, which is read off docs/index.md.
"""

import re
from collections.abc import Iterator
from typing import Any

import mmdr
from docutils import nodes
from docutils.parsers.rst import Directive

project = "timegpt_assets"
html_title = project
extensions = ["myst_parser"]
# The root of the source is the project's, for pages of docs/ and those beside it link to each other.
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**"]
exclude_patterns = [".*", "artifacts", "configs", "data", "site", "timegpt_assets", "timegpt_assets_tests"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}  # they lead to a public repository
html_static_path = ["_site/style.css"]
html_css_files = ["style.css"]
html_extra_path = ["_site/index.html"]
html_copy_source = False
html_show_copyright = html_show_sphinx = False
html_show_search_summary = False  # a summary is fetched, which no browser does from a disk
html_use_index = False

SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.M | re.S)
ENTRY = re.compile(r"^\* \[[^\]]+\]\(([^)#:]+\.md)\)", re.M)


class Diagram(Directive):
    """A block of Mermaid, drawn when the site is built: the page needs no script."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the drawing."""
        drawn = mmdr.render("\n".join(self.content)).svg()
        width = re.findall(r'viewBox="\S+ \S+ (\S+) ', drawn)[0]  # the drawing's; arrow heads have theirs
        return [nodes.raw("", f'<div class="diagram" style="--drawn: {width}px">{drawn}</div>', format="html")]


def contents(index: str) -> Iterator[str]:
    """Yield a hidden table of contents for each section of the index, of the pages its list leads to."""
    for title, text in SECTION.findall(index):
        if pages := ENTRY.findall(text):
            yield "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""])


def add_contents(app: Any, page: str, source: list[str]) -> None:
    """Put the tables of contents below the index."""
    if page == app.config.root_doc:
        source[0] += "\n".join(contents(source[0]))


def setup(app: Any) -> None:
    """Tell Sphinx of both."""
    app.add_directive("mermaid", Diagram)
    app.connect("source-read", add_contents)
