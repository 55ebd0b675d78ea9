"""What `make setup` installs: exact versions, each file by its hash, from wherever an installer is told to look.

Guards against a renewed lock that lost its hashes, names an index, or no longer holds what pyproject.toml asks for.
"""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from timegpt_assets_tests.project import PROJECT

LOCKS = ("requirements.lock", "installer.lock")


def locked(name: str) -> dict[str, list[str]]:
    """Return by ``name==version`` the hashes of a lock."""
    text = (PROJECT / name).read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return {words[0]: words[1:] for words in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_is_named_by_its_hash_and_no_index_is_named(name: str) -> None:
    for requirement, hashes in locked(name).items():
        assert re.fullmatch(r"[\w.\[\]-]+==[\w.+!]+", requirement)
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)
    assert "://" not in (PROJECT / name).read_text()


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    versions = {canonicalize_name(re.split(r"\[|==", one)[0]): one.rpartition("==")[2] for one in locked(LOCKS[0])}
    # both are fetched by who asks for them: their torch weighs more than all else together
    fetched = {"neural", "tsfm"}
    extras = [e for name, e in project["project"]["optional-dependencies"].items() if name not in fetched]
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"], *(r for e in extras for r in e)]
    for one in map(Requirement, asked):
        assert versions[canonicalize_name(one.name)] in one.specifier, one


def test_setup_installs_nothing_without_its_hash() -> None:
    setup = (PROJECT / "Makefile").read_text().partition("\n\nsetup:")[0].rpartition("$(VENV)/.ready:")[2]
    installs = [line for line in setup.splitlines() if re.search(r"pip (install|sync)", line)]
    assert len(installs) == 3
    assert ["--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs] == [True] * 3
