"""The source keeps its manners: what no linter of ours says, said here by reading every file of the package.

Guards against a later change that quiets a checker without a word.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from timegpt_assets_tests.project import PROJECT

SOURCES = sorted((PROJECT / "timegpt_assets").rglob("*.py"))


def lines() -> Iterator[tuple[str, str]]:
    """Yield every line of the package beside its place."""
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{path.relative_to(PROJECT)}:{number}", line


def quieted(line: str) -> bool:
    """Return whether the line quiets the type checker without saying which rule and why."""
    return "type: ignore" in line and not re.search(r"# type: ignore\[[a-z-]+\]  # \w{2,}", line)


def test_the_type_checker_reads_the_whole_package_strictly():
    mypy = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["packages"] == ["timegpt_assets"]
    assert mypy["strict"] is True


def test_whoever_quiets_the_type_checker_says_why():
    assert [place for place, line in lines() if quieted(line)] == []
    assert quieted("x = y  # type: ignore")
    assert quieted("x = y  # type: ignore[arg-type]")
    assert not quieted("x = y  # type: ignore[arg-type]  # the stub is older than the library")


CITED = re.compile(r"(?<![\w./-])((?:[\w-]+/)*[A-Za-z0-9-]+\.md)\b")


def test_every_page_that_code_or_settings_cite_ships() -> None:
    files = [*SOURCES, *(PROJECT / "configs").rglob("*.yaml")]
    cited = {(page, path.name) for path in files for page in CITED.findall(path.read_text(encoding="utf-8"))}
    assert len(cited) >= 4
    assert [(page, by) for page, by in sorted(cited) if not (PROJECT / page).exists()] == []
    assert CITED.findall("see semantics.md, and docs/adr/0001-x.md") == ["semantics.md", "docs/adr/0001-x.md"]


def test_every_file_is_read():
    assert len(SOURCES) > 150
    assert Path(PROJECT / "timegpt_assets/core/schema.py") in SOURCES
