"""What the reference page of the configuration needs: every key with its default, what is allowed and what it means.

Belongs here: joining the models with the shipped files. The meaning of a key is the comment beside or above it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as File

from timegpt_assets.config import files
from timegpt_assets.config.base import PLACE
from timegpt_assets.config.layers import file_layer
from timegpt_assets.config.schema import (
    SECTIONS,
    Path,
    allowed_at,
    dotted,
    field_at,
    marked,
    names_of,
)

_KEY = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z_][\w.]*):(?P<rest>(?:\s.*)?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of the reference page."""

    key: str
    default: str
    allowed: str
    description: str
    place: bool
    aliases: tuple[str, ...]


def entries(config_dir: File) -> Iterator[Entry]:
    """Yield one entry per key of the section files in a folder, in the order of the files."""
    for section in SECTIONS:
        file = config_dir / f"{section}.yaml"
        said = comments(files.text(file))
        for path, leaf in file_layer(file, file.name, section).items():
            info = field_at(path)
            aliases = names_of(path[-1], info)[1:] if info else ()
            yield Entry(
                key=dotted(path),
                default=json.dumps(leaf.value, ensure_ascii=False),
                allowed=allowed_at(path),
                description=said.get(path[1:], ""),
                place=marked(path, PLACE),
                aliases=aliases,
            )


def comments(text: str) -> dict[Path, str]:
    """Return the comment of every key of a block-style YAML text: the one beside it, else the lines right above it."""
    found: dict[Path, str] = {}
    above: list[str] = []
    open_keys: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip().lstrip("# "))
            continue
        if key := _KEY.match(line):
            indent = len(key["indent"])
            open_keys = [(depth, name) for depth, name in open_keys if depth < indent] + [(indent, key["name"])]
            beside = re.search(r"(?:^|\s)#\s*(.*)$", key["rest"])
            found[tuple(name for _, name in open_keys)] = beside[1] if beside else " ".join(above)
        above = []
    return found
