"""The code that makes numbers: everything the assets import, at any remove, but what only draws.

Belongs here: finding it, and its digest. It is followed from the assets and not listed, so that a new room cannot be
forgotten; what no asset reaches (command line, engine, schedules) makes no number and changes no lineage id.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

DRAWS = ("__init__.py", "serving", "reports", "assets/previews.py")
"""Rooms and files that show numbers and make none."""
_IMPORT = re.compile(r"^[ \t]*(?:from ([\w.]+) import (\([^)]*\)|[^\n(]+)|import ([^\n]+))", re.MULTILINE)


def digest(package: Path) -> str:
    """Return the sha256, in hex, of the names and bytes of every file that makes numbers."""
    found = hashlib.sha256()
    for path in files(package):
        found.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def files(package: Path) -> list[Path]:
    """Return the files of the package that its assets import, at any remove, sorted; what only draws is left out."""
    waiting, found = sorted((package / "assets").glob("*.py")), set()
    while waiting:
        path = waiting.pop()
        if path not in found and not path.relative_to(package).as_posix().startswith(DRAWS):
            found.add(path)
            waiting += _imported(path, package)
    return sorted(found)


def _imported(path: Path, package: Path) -> Iterator[Path]:
    """Give the package's own files that a file imports, at its top or inside a function."""
    for module, names, plain in _IMPORT.findall(path.read_text(encoding="utf-8")):
        wanted = [module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))] if module else []
        for dotted in [*wanted, *re.findall(r"[\w.]+", plain)]:
            parts = dotted.split(".")
            if parts[0] == package.name:
                place = package.joinpath(*parts[1:])
                yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())
