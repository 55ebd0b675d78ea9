"""`make setup-neural`: says what the extras neural and tsfm will fetch and how large it is, then installs it.

Belongs here: which files pip would fetch, from where it is told to look on this machine, and how large they are. What
the lock names stays as it is; gigabytes (builds for graphics cards) come only when asked for.
"""

import json
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from timegpt_assets_tests.project import PROJECT

MOST_MB = 1000.0
REMEDY = (
    "Lead pip to CPU builds in its own configuration (pip config), or say make setup-neural GIGABYTES=yes to "
    "fetch all of it."
)


@dataclass(frozen=True)
class Fetched:
    """A file that would be fetched; its size is None where nobody says it."""

    name: str
    version: str
    mb: float | None


def extra() -> list[str]:
    """Return what the two extras ask for."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return [*optional["neural"], *optional["tsfm"]]


def pip(*words: str) -> str:
    """Return what `pip install` of the words says, everything that the lock names held at its version."""
    lock = (PROJECT / "requirements.lock").read_text().splitlines()
    pins = [line.split()[0] for line in lock if "==" in line and line[0] not in " #"]
    with TemporaryDirectory() as folder:
        held = Path(folder, "held.txt")
        held.write_text("\n".join(pins))
        # wheels alone: nothing of another's runs to be installed
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--constraint", held]
        return subprocess.run([*command, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def would_fetch(wanted: Sequence[str]) -> list[Fetched]:
    """Return what pip would fetch for them on this machine, the largest first; nothing when all of it is there."""
    report = json.loads(pip("--dry-run", "--report", "-", *wanted))
    found = [
        Fetched(one["metadata"]["name"], one["metadata"]["version"], size_mb(one["download_info"]["url"]))
        for one in report["install"]
    ]
    return sorted(found, key=lambda one: -(one.mb or 0.0))


def size_mb(url: str) -> float | None:
    """Return the megabytes behind an address, of a file on this disk or on a server; None where it does not say."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - pip's own addresses
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            said = answer.headers["Content-Length"]
    except OSError:
        return None
    return int(said) / 1e6 if said else None


def main(asked: Sequence[str]) -> None:
    """Say what will be fetched, and install it; exit with the remedy where that is more than was asked for."""
    files = would_fetch(extra())
    for one in files:
        sys.stdout.write(f"{one.name} {one.version}: {'size unknown' if one.mb is None else f'{one.mb:,.0f} MB'}\n")
    total = sum(one.mb or 0.0 for one in files)
    sys.stdout.write(f"{total:,.0f} MB to fetch for {', '.join(extra())}\n")
    sys.stdout.flush()
    if "GIGABYTES=yes" not in asked and (total > MOST_MB or any(one.mb is None for one in files)):
        sys.exit(f"more than {MOST_MB:,.0f} MB, or of unknown size: nothing was fetched. {REMEDY}")
    pip(*extra())


if __name__ == "__main__":
    main(sys.argv[1:])
