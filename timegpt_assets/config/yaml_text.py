"""YAML text -> plain JSON values, by the rules of YAML 1.2: nothing turns into something that was not written.

Belongs here: the loader and what it refuses. PyYAML alone reads 15:55 as 955, the ticker ON as true and 1e-6 as text.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml


class PlainLoader(yaml.SafeLoader):
    """Reads true/false, null, decimal numbers and text; refuses repeated keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping with its keys as text; ConstructorError for a repeated key."""
        pairs = [(str(self.construct_object(key, deep=True)), key, value) for key, value in node.value]
        seen: set[str] = set()
        for name, key, _ in pairs:
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} is written twice", key.start_mark)
            seen.add(name)
        return {name: self.construct_object(value, deep=deep) for name, _, value in pairs}


for _tag, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9]\d*)", list("-+0123456789")),
    ("float", r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?", list("-+.0123456789")),
):
    PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def plain_value(text: str) -> Any:
    """Return the value of the text as JSON would hold it: dates and times stay text.

    Raises yaml.YAMLError for text that is no YAML, or repeats a key.
    """
    return yaml.load(text, Loader=PlainLoader)  # noqa: S506 - a SafeLoader with fewer resolvers
