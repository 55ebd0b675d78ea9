"""What `make check` knows of published vulnerabilities in the packages that both locks name.

pip-audit asks OSV; this reads what it found, and says so where nothing could be asked. Run as
``python -m timegpt_assets_tests.audit``: 0 when nothing is known, or nothing was asked and nobody insists; else 1.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from timegpt_assets_tests.project import PROJECT

FEED = "https://api.osv.dev/v1/query"
LOCKS = ("requirements.lock", "installer.lock")
REQUIRED = "required"


def main() -> int:
    """Say what is known and return the exit code."""
    insists = os.environ.get("AUDIT") == REQUIRED
    code, said = audited([PROJECT / name for name in LOCKS], os.environ.get("AUDIT_FEED", FEED), insists=insists)
    sys.stdout.write(said + "\n")
    return code


def audited(locks: Sequence[Path], feed: str, *, insists: bool) -> tuple[int, str]:
    """Return exit code and what to say of every package of the locks; ``insists``: what was not asked fails."""
    command = [str(Path(sys.executable).with_name("pip-audit")), "--require-hashes", "--disable-pip"]
    command += [word for lock in locks for word in ("--requirement", str(lock))]
    command += ["--vulnerability-service", "osv", "--osv-url", feed, "--format", "json", "--progress-spinner", "off"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(ended.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        return _not_asked(feed, ended.stderr.strip().rpartition("\n")[2], insists=insists)
    known = accepted()
    lines = list(_told(found, known))
    if lines:
        return 1, "\n".join(
            [*lines, "Raise them in pyproject.toml and run make lock, or write why not into tool.audit."]
        )
    return 0, f"audited: nothing is known of {len(found)} packages{_aside(found, known)}"


def accepted() -> Mapping[str, str]:
    """Return by its id why a vulnerability is lived with for now (pyproject.toml, tool.audit)."""
    told: Mapping[str, str] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["audit"]["accepted"]
    return told


def _told(found: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> Iterator[str]:
    for one in found:
        for hole in one["vulns"]:
            if not known.keys() & {hole["id"], *hole["aliases"]}:
                mended = ", ".join(hole["fix_versions"]) or "no version yet"
                yield f"{one['name']} {one['version']}: {hole['id']}, mended in {mended}"


def _aside(found: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> str:
    ids = {name for one in found for hole in one["vulns"] for name in (hole["id"], *hole["aliases"])}
    return f" but what tool.audit accepts: {', '.join(sorted(ids & known.keys()))}" if ids & known.keys() else ""


def _not_asked(feed: str, why: str, *, insists: bool) -> tuple[int, str]:
    said = f"NOT AUDITED: {feed} could not be asked ({why[:300] or 'it said nothing'})."
    return int(insists), f"{said} Run make check where it can be reached; AUDIT={REQUIRED} has this fail."


if __name__ == "__main__":
    sys.exit(main())
