"""Whose a DAGSTER_HOME is: the profile and storage root its records are about, written into it by the first to use it.

Belongs here: the marker file. Dagster's records say which partitions were made, not for whom nor where they lie: those
of a second profile, or of another storage root, would count as made.
"""

from pathlib import Path

import orjson

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.explained import Explained
from timegpt_assets.runtime import GS, Runtime

MARKER = "home_owner.json"


class HomeOfAnother(Explained, RuntimeError):
    """Raised when a DAGSTER_HOME keeps the records of another profile or storage root; names both, and the remedy."""


def claim(home: Path, runtime: Runtime) -> None:
    """Make the home this runtime's, if it is nobody's. Raises HomeOfAnother when it is somebody else's."""
    ours = {"profile": runtime.settings.profile, "storage_root": _storage_root(runtime)}
    place = LocalStore(home)
    # of two that come first together one writes, and the other is judged by what that one wrote
    if place.write_new(MARKER, orjson.dumps(ours, option=orjson.OPT_INDENT_2)):
        return
    theirs = _read(place)
    if theirs != ours:
        said = "; ".join(
            f"{name} {theirs.get(name)!r}, not {value!r}" for name, value in ours.items() if theirs.get(name) != value
        )
        raise HomeOfAnother(
            f"DAGSTER_HOME {home} keeps the records of {said}. Give each its own: unset DAGSTER_HOME, or set it or "
            f"data.dagster_home to another folder. If the tables were moved along, delete {home / MARKER} first."
        )


def _storage_root(runtime: Runtime) -> str:
    root = runtime.settings.data.storage_root
    return root if root.startswith(GS) else str(runtime.path(root))


def _read(place: LocalStore) -> dict[str, str]:
    """Return what the marker says; HomeOfAnother for one that says nothing."""
    found = place.read(MARKER)
    try:
        said = orjson.loads(found.data if found else b"")
        return {name: str(said[name]) for name in ("profile", "storage_root")}
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise HomeOfAnother(
            f"{place.shown(MARKER)} does not say whose DAGSTER_HOME it lies in. Delete it, if the home is yours."
        ) from error
