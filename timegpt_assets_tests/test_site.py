"""The site of `make docs`: builds without a warning, leads nowhere that is not there, fetches nothing, and is searched.

The search is Sphinx's own index, asked here as the page asks it: all words but the commonest, stemmed, in titles or
texts.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from sphinx.search.en import SearchEnglish

from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.test_docs import PAGES, read

pytestmark = pytest.mark.timeout(900)  # building it is seven seconds of processor, and minutes beside ten other things
ADDRESS = re.compile(r'<(a|area|img|link|script|source|iframe)\b[^>]*?\s(?:href|src)="([^"]*)"')
IDENTIFIER = re.compile(r'\s(?:id|name)="([^"]+)"')
FOREIGN = re.compile(r"https?://[\w-]+(\.[\w-]+)+(:\d+)?(/[^\s<>]*)?")
FETCHED = re.compile(r"@import|url\(\s*['\"]?https?:|fonts\.g")
WORD = re.compile(r"\w+")
COMMON = SearchEnglish.stopwords

GUESSES = (
    ("paid twice", "docs/explanation/money"),
    ("own csv", "docs/how-to/run-your-own-bars"),
    ("insufficient_observation", "docs/how-to/read-a-verdict"),
    ("killed lock", "docs/how-to/after-a-crash"),
    ("bucket", "docs/how-to/store-on-gcs"),
    ("k_sigma", "docs/reference/config"),
    ("stop loss", "docs/explanation/execution-and-costs"),
    ("look ahead", "docs/explanation/clocks-and-leakage"),
    ("quantile coverage", "docs/explanation/calibration"),
    ("API key", "docs/how-to/ask-timegpt"),
    ("new symbol", "docs/how-to/add-a-symbol"),
    ("exit code", "docs/reference/cli"),
)
"""What a newcomer would type, and the page that answers."""


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a project as `make docs` does."""
    (line,) = re.findall(r"\$\(BIN\)/python (-m sphinx .*) --conf-dir docs \. site", read(PROJECT / "Makefile"))
    command = [sys.executable, *line.split(), "--conf-dir", source / "docs", source, target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("built") / "site"
    done = build(PROJECT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@cache
def html(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def identifiers(page: Path) -> frozenset[str]:
    return frozenset(IDENTIFIER.findall(html(page)))


def missing(page: Path, address: str) -> bool:
    """Return whether an address of a page leads to nothing within the site."""
    path, _, anchor = address.partition("#")
    target = (page.parent / unquote(path.partition("?")[0])).resolve() if path else page
    return not target.is_file() or bool(anchor and target.suffix == ".html" and anchor not in identifiers(target))


def test_every_page_is_built_and_no_link_of_any_leads_nowhere(site: Path) -> None:
    built = sorted(site.rglob("*.html"))
    wanted = {page.relative_to(PROJECT).with_suffix(".html") for page in PAGES}
    assert wanted <= {page.relative_to(site) for page in built}
    found = {(page, address) for page in built for _, address in ADDRESS.findall(html(page))}
    assert len(found) > 1000
    internal = {(page, address) for page, address in found if not re.match(r"\w+:", address)}
    assert sorted(f"{p.relative_to(site)}: {address}" for p, address in internal if missing(p, address)) == []
    assert sorted(address for _, address in found - internal if not FOREIGN.fullmatch(address)) == []


def test_a_page_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = [
        f"{page.name}: {address}"
        for page in site.rglob("*.html")
        for tag, address in ADDRESS.findall(html(page))
        if tag != "a" and "://" in address
    ]
    assert fetched == []
    styles = [*site.rglob("*.css"), site / "README.html"]
    assert [style.name for style in styles if FETCHED.search(style.read_text(encoding="utf-8"))] == []


def test_diagrams_are_drawn(site: Path) -> None:
    for page in (page for page in PAGES if "```mermaid" in read(page)):
        drawn = html(site / page.relative_to(PROJECT).with_suffix(".html"))
        assert len(re.findall('<div class="diagram"[^>]*><svg', drawn)) == read(page).count("```mermaid")


class Index:
    """Sphinx's index of the words of a site."""

    def __init__(self, site: Path) -> None:
        text = (site / "searchindex.js").read_text(encoding="utf-8")
        self._index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
        self._stem = SearchEnglish({}).stem
        self.pages: list[str] = self._index["docnames"]

    def found(self, words: str) -> set[str]:
        """Return the pages that hold all of the words."""
        each = [self._holding(word.lower()) for word in WORD.findall(words) if word.lower() not in COMMON]
        return {self.pages[number] for number in set.intersection(*each)}

    def _holding(self, word: str) -> set[int]:
        forms, numbers = {word, self._stem(word)}, set()
        for terms in (self._index["terms"], self._index["titleterms"]):
            for at in (terms.get(form, []) for form in forms):
                numbers |= set(at if isinstance(at, list) else [at])
        return numbers


@pytest.fixture(scope="module")
def index(site: Path) -> Index:
    """Return the index of the built site."""
    return Index(site)


def own_words(page: Path) -> Iterator[str]:
    """Yield the words of a page's headings."""
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", read(page), flags=re.S), re.M):
        yield from (word for word in WORD.findall(heading) if not word.isdigit() and word.lower() not in COMMON)


def test_the_words_of_every_page_lead_to_it(index: Index) -> None:
    lost = []
    for page in PAGES:
        name = page.relative_to(PROJECT).with_suffix("").as_posix()
        words = set(own_words(page))
        assert words, name
        lost += [f"{name}: {word}" for word in words if name not in index.found(word)]
    assert lost == []


@pytest.mark.parametrize(("words", "page"), GUESSES)
def test_what_a_newcomer_would_type_leads_to_the_page_that_answers(index: Index, words: str, page: str) -> None:
    assert page in index.found(words)


def test_a_link_that_leads_nowhere_and_a_page_that_no_list_names_fail_the_build(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "docs" / "_site", tmp_path / "docs" / "_site")
    shutil.copy(PROJECT / "docs" / "conf.py", tmp_path / "docs")
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n## List\n\n* [one](one.md)\n")
    (tmp_path / "docs" / "one.md").write_text("# One\n\nSee [two](nowhere.md) and [three](one.md#not-there).\n")
    (tmp_path / "docs" / "two.md").write_text("# Two\n\nText.\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    for said in ("nowhere.md", "not-there", "two.md: WARNING: document isn't included in any toctree"):
        assert said in done.stderr
