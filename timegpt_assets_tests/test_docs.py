"""The documentation is true: links lead somewhere, names and commands exist, generated pages are fresh."""

import importlib
import re
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from timegpt_assets.cli import app as cli
from timegpt_assets.config.schema import SECTIONS
from timegpt_assets.config.seats import GROUP
from timegpt_assets.core.tables.every import ALL
from timegpt_assets.engine.stages import STAGES
from timegpt_assets_tests import feature_pictures, reference_docs
from timegpt_assets_tests.project import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
GENERATED = {reference_docs.DOCS / reference_docs.DEFAULTS, *(reference_docs.DOCS / "reference").glob("*.md")}
PROSE = [page for page in PAGES if page not in GENERATED]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DOTTED = re.compile(r"\btimegpt_assets(?:_tests)?(?:\.[A-Za-z_]\w*)+")
COMMAND = re.compile(r"timegpt-assets ([a-z-]+)((?:(?:[ \t]+|\n[ \t]*(?!\n))[^\s`|]+)*)")
TARGET = re.compile(r"^\s{4}make ([a-z]+)|`make ([a-z]+)`", re.M)
OPTION = re.compile(r"(?<=\s)--[a-z-]+")
SOURCE_FILE = re.compile(r"`((?:timegpt_assets(?:_tests)?|configs|docs)/[\w./-]*)`")
NEW_FILE = re.compile(r"`([\w/.]+)`, a new file")
CODE = re.compile(r"^ *```.*?^ *```$", re.M | re.S)
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ELSEWHERE = re.compile(
    r"/(?:home|Users|root|work)/\w"  # a folder of somebody's machine
    r"|(?:extra-)?index-ur[l]|https?://[^\s/]*(?:artifactory|nexus|pypi)[^\s/]*/"  # where packages come from
)


def named(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("page", paths, ids=lambda page: page.relative_to(PROJECT).as_posix())


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def joined(text: str) -> str:
    """Return the text with shell lines that end in a backslash joined to the next."""
    return re.sub(r"\\\n\s*", "", text)


@cache
def anchors(page: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", read(page), flags=re.S), re.M)
    return frozenset(reference_docs.slug(heading) for heading in headings)


def test_the_project_has_its_pages():
    names = {page.relative_to(PROJECT).as_posix() for page in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/index.md", "docs/tutorial.md"} <= names
    assert len(names) > 35


def test_reference_pages_are_fresh():
    assert reference_docs.stale() == [], "run `make docs`"


def test_stale_and_absent_pages_are_named(tmp_path: Path):
    reference_docs.write(reference_docs.pages(), tmp_path)
    assert reference_docs.stale(tmp_path) == []
    (tmp_path / "reference" / "cli.md").unlink()
    (tmp_path / "reference" / "tables.md").write_text("another page")
    assert reference_docs.stale(tmp_path) == ["reference/tables.md", "reference/cli.md"]


@named(PAGES)
def test_links_lead_somewhere(page: Path):
    for link in LINK.findall(read(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert PROJECT in target.parents, link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_index():
    index = PROJECT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(read(index)) if "://" not in link}
    assert [page.name for page in PROJECT.glob("docs/**/*.md") if page not in {*linked, index}] == []


@named(PAGES)
def test_dotted_names_resolve(page: Path):
    for name in DOTTED.findall(CODE.sub("", read(page))):
        assert name == GROUP or resolves(name), name  # entry points have a name that is nobody's module


def resolves(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def test_a_name_that_does_not_exist_is_noticed():
    assert resolves("timegpt_assets.core.tables.bars.BARS")
    assert not resolves("timegpt_assets.core.tables.NOTHING")
    assert not resolves("timegpt_assets.nothing")


@named(PROSE)
def test_commands_and_their_options_exist(page: Path):
    command: Any = typer.main.get_command(cli.app)
    for verb, rest in COMMAND.findall(joined(read(page))):
        assert verb in command.commands, verb
        known = {name for parameter in command.commands[verb].params for name in parameter.opts} | {"--help"}
        assert set(OPTION.findall(rest)) <= known, (verb, rest)


@named(PROSE)
def test_make_targets_exist(page: Path):
    targets = set(re.findall(r"^([a-z]+):", read(PROJECT / "Makefile"), re.M))
    assert {name for pair in TARGET.findall(read(page)) for name in pair if name} <= targets


def test_the_readme_names_commands_and_every_verb():
    text = read(PROJECT / "README.md")
    assert {"demo", "test", "ui", "setup"} <= {name for pair in TARGET.findall(text) for name in pair}
    command: Any = typer.main.get_command(cli.app)
    assert [verb for verb in command.commands if not re.search(rf"`{verb}\b", text)] == []


@named(PROSE)
def test_files_named_exist(page: Path):
    text = read(page)
    named_here = set(SOURCE_FILE.findall(text)) - set(NEW_FILE.findall(text))  # a how-to may ask for a file
    assert [name for name in sorted(named_here) if not (PROJECT / name).exists()] == []


def test_tests_named_as_proofs_exist():
    pages = sorted((PROJECT / "docs" / "explanation").glob("proofs*.md"))
    found = [proof for page in pages for proof in TEST.findall(read(page))]
    assert len(found) > 30
    here = Path(__file__).parent
    assert [f"{file}::{test}" for file, test in found if f"def {test}(" not in read(here / file)] == []


def sentences(text: str) -> set[str]:
    """Return the sentences of at least eight words that stand outside of code, tables, titles and lists of links."""
    prose = re.sub(r"^(#|\||\* \[).*$", "", CODE.sub("", text), flags=re.M)
    prose = re.sub(r"\]\([^)]*\)|`", "", prose)
    blocks = re.split(r"\n\s*\n|\n(?= *(?:\*|-|\d+\.) )", prose)
    words = [re.findall(r"\w+", one.lower()) for block in blocks for one in re.split(r"[.!?]\s", block)]
    return {" ".join(one) for one in words if len(one) >= 8}


def test_a_sentence_stands_in_one_page() -> None:
    places = defaultdict(list)
    for page in PROSE:
        for sentence in sentences(read(page)):
            places[sentence].append(page.relative_to(PROJECT).as_posix())
    assert len(places) > 1500
    assert {sentence: found for sentence, found in places.items() if len(found) > 1} == {}


def test_a_sentence_that_was_copied_is_noticed() -> None:
    text = (
        "One is here. What a call costs, and [when](money.md) it is\npaid twice (never) is on a page.\n\nAnother one."
    )
    assert sentences(text) & sentences("* what a call costs, and when it is paid twice (never) is on a page. Yes.")


TOLD = [page for page in PROSE if page.parent.name != "adr" and not page.name.startswith("proofs")]
"""Pages in which a word is told of, not merely listed."""


def test_every_group_table_verb_and_section_is_told_of_in_a_page_written_by_hand() -> None:
    text = "\n".join(read(page) for page in TOLD if page.name != "CHANGELOG.md")
    command: Any = typer.main.get_command(cli.app)
    words = {
        "group": [*STAGES, "research"],
        "table": [table.name for table in ALL],
        "verb": [f"timegpt-assets {verb}|`{verb}" for verb in command.commands],
        "section": [f"`{section}[.`]|configs/{section}" for section in SECTIONS],
    }
    untold = [(kind, word) for kind, found in words.items() for word in found if not re.search(rf"({word})\b", text)]
    assert untold == []


def test_the_glossary_names_every_stage() -> None:
    (row,) = re.findall(r"^\| stage \|(.*)$", read(PROJECT / "docs" / "glossary.md"), re.M)
    assert [stage for stage in reference_docs.STAGE_WORDS if not re.search(rf"\b{stage}\b", row)] == []


def tracked() -> list[Path]:
    """Return the files of the repository that are tracked, or would be; skip where there is no repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git repository: nobody can say which files are tracked")
    return [path for name in listed.stdout.split("\0") if name and (path := PROJECT / name).is_file()]


def test_no_file_names_this_machine_or_a_package_index():
    found = []
    for path in tracked():
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue  # a picture
        found += [f"{path.relative_to(PROJECT)}: {hit[0]}" for hit in ELSEWHERE.finditer(text)]
        if str(PROJECT) in text and len(PROJECT.parts) > 2:
            found.append(f"{path.relative_to(PROJECT)}: the project's own folder")
    assert found == []


def test_every_feature_that_is_drawn_has_values():
    asked = (feature_pictures.made_up(), feature_pictures.SYMBOL)
    frame = feature_pictures.day_of(*asked, feature_pictures.DAY, feature_pictures.CONTEXT, feature_pictures.OTHERS)
    shown = [name for names in feature_pictures.SHOWN.values() for name in names]
    assert [name for name in shown if frame[name].null_count() > 5] == []


def test_a_machines_folder_is_noticed():
    assert ELSEWHERE.search("see /" + "home/somebody")
    assert ELSEWHERE.search("--extra-index-" + "url x")
    assert not ELSEWHERE.search("data.root=/path/to/bars")
