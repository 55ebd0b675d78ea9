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


MOST_VALUES = 100_000
"""Values a text may stand for once its aliases are written out; the settings have some hundreds."""


def plain_value(text: str) -> Any:
    """Return the value of the text as JSON would hold it: dates and times stay text.

    Raises yaml.YAMLError for text that is no YAML, repeats a key, holds itself, or unfolds to more than MOST_VALUES.
    """
    loader = PlainLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _unfolded(node, {}) > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases unfold to more than {MOST_VALUES:,} values")
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply, or holds itself") from error
    except ValueError as error:  # a number of thousands of digits
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for, each alias counted wherever it stands; RecursionError for a loop."""
    if id(node) not in known:
        pairs = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inner = [] if isinstance(node, yaml.ScalarNode) else pairs
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in inner)
    return known[id(node)]
