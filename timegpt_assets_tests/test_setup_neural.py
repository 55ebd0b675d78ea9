"""`make setup-neural`: what it would fetch is said with its size, gigabytes are not fetched unasked, the lock stays.

The files asked for here are made here: pip is told to look nowhere else.
"""

import base64
import hashlib
import importlib.util
import subprocess
import zipfile
from pathlib import Path

import pytest

from timegpt_assets_tests import setup_neural
from timegpt_assets_tests.project import PROJECT


def wheel(folder: Path, name: str, requires: str = "", padding: int = 0) -> None:
    """Write a wheel of version 1.0 that needs another package, or none, and weighs ``padding`` bytes more."""
    info = f"{name}-1.0.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": b"0" * padding,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    hashes = {one: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for one, data in files.items()}
    record = "".join(f"{one},sha256={hashes[one].decode().rstrip('=')},{len(files[one])}\n" for one in files)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for one, data in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
            archive.writestr(one, data)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one folder in which pip looks for files."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_every_file_is_named_with_its_size_and_the_largest_first(shelf: Path) -> None:
    wheel(shelf, "plantednet", requires="plantedmaths")
    wheel(shelf, "plantedmaths", padding=2_000_000)
    large, small = setup_neural.would_fetch(["plantednet==1.0"])
    assert (large.name, large.version, small.name) == ("plantedmaths", "1.0", "plantednet")
    assert large.mb == pytest.approx(2.0, abs=0.01)
    assert small.mb is not None
    assert small.mb < 0.01


def test_what_would_move_a_package_of_the_lock_is_refused(shelf: Path) -> None:
    wheel(shelf, "plantednet", requires="numpy<2")
    wheel(shelf, "numpy")
    with pytest.raises(subprocess.CalledProcessError):
        setup_neural.would_fetch(["plantednet==1.0"])


@pytest.mark.parametrize("mb", [2739.2, None])
def test_gigabytes_and_unknown_sizes_are_fetched_only_when_asked_for(mb, monkeypatch, capsys) -> None:
    fetched = []
    monkeypatch.setattr(setup_neural, "would_fetch", lambda wanted: [setup_neural.Fetched("torch", "2.13.0", mb)])
    monkeypatch.setattr(setup_neural, "pip", lambda *words: fetched.append(words))
    with pytest.raises(SystemExit, match="GIGABYTES=yes"):
        setup_neural.main(["GIGABYTES="])
    assert not fetched
    assert f"torch 2.13.0: {'size unknown' if mb is None else '2,739 MB'}" in capsys.readouterr().out
    setup_neural.main(["GIGABYTES=yes"])
    assert fetched == [tuple(setup_neural.extra())]


def test_where_the_extra_is_there_nothing_is_fetched(shelf: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: make setup-neural")
    assert setup_neural.would_fetch(setup_neural.extra()) == []


def test_a_renewed_environment_gets_the_extra_back_and_ci_installs_it() -> None:
    setup = (PROJECT / "Makefile").read_text().partition("\nsetup:")[0].rpartition("$(VENV)/.ready:")[2]
    assert setup.index("touch $@") < setup.index("$(VENV)/.neural") < setup.index("setup-neural")
    ci = (PROJECT / ".ci" / "run").read_text()
    assert ci.index("make setup-neural GIGABYTES=yes") < ci.index("make test")
