"""Merged leaves -> valid sections, or every fault with its file, key, value, what is allowed and the remedy.

Belongs here: reading the leaves into the models, and wording what the models and the checks refuse.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from timegpt_assets.config.base import Section
from timegpt_assets.config.checks import refusals
from timegpt_assets.config.close_names import closest
from timegpt_assets.config.errors import MISSING, SECRET_KEY, Fault, carries_password, is_public_key, looks_secret
from timegpt_assets.config.layers import Layer, nested
from timegpt_assets.config.schema import SECTIONS, Path, allowed_at, annotation_at, dotted, model_of, names_of


@dataclass(slots=True)
class Reading:
    """The sections that could be read, and what was wrong with the others."""

    sections: dict[str, Section] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def reading(leaves: Layer, *, defaults: Layer, profile: str, in_grid: bool) -> Reading:
    """Return the sections read from the leaves and all faults; ``defaults`` (the shipped files) word the remedies."""
    result, tree = Reading(), nested(leaves)
    for name, model in SECTIONS.items():
        try:
            # As JSON: strict models then take lists and texts for tuples and times, and still refuse "1" for 1.
            result.sections[name] = model.model_validate_json(json.dumps(tree.get(name, {})))
        except ValidationError as error:
            result.faults += model_faults(name, error, leaves, defaults=defaults)
    result.faults += _unknown_sections(tree, leaves)
    result.faults += _secrets(leaves)
    for refused in refusals({"profile": profile, "in_grid": in_grid, **result.sections}):
        path = tuple(refused.key.split("."))
        value = _value(tree, path)
        file = origin(leaves, path)
        result.faults.append(
            Fault(file=file, key=refused.key, value=value, allowed=refused.allowed, remedy=refused.remedy)
        )
    return result


def origin(leaves: Layer, path: Path) -> str:
    """Return where the key was written; for a key nobody wrote, where its nearest neighbour was."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in leaves:
            return leaves[path[:depth]].origin
    near = [leaf.origin for other, leaf in leaves.items() if other[: len(path) - 1] == path[:-1] and len(path) > 1]
    return near[0] if near else f"configs/{path[0]}.yaml"


def _secrets(leaves: Layer) -> Iterator[Fault]:
    for path, leaf in leaves.items():
        if looks_secret(leaf.value) and not is_public_key(dotted(path), leaf.value):
            remedy = "Take it out: secrets stand in the environment or .env (TIMEGPT_API_KEY), never in settings."
            yield Fault(file=leaf.origin, key=dotted(path), value=leaf.value, allowed="no secret", remedy=remedy)
        elif isinstance(leaf.value, str) and carries_password(leaf.value):
            remedy = "Leave it out of the address; for PostgreSQL use PGPASSWORD or ~/.pgpass."
            allowed = "an address without a password"
            yield Fault(file=leaf.origin, key=dotted(path), value=leaf.value, allowed=allowed, remedy=remedy)


def _value(tree: Mapping[str, Any], path: Path) -> Any:
    value: Any = tree
    for name in path:
        value = value[name] if isinstance(value, Mapping) and name in value else MISSING
    return value


def _unknown_sections(tree: Mapping[str, Any], leaves: Layer) -> Iterator[Fault]:
    for name in (name for name in tree if name not in SECTIONS):
        path = next(path for path in leaves if path[0] == name)
        remedy = _did_you_mean(name, tuple(SECTIONS))
        file, value = leaves[path].origin, leaves[path].value
        yield Fault(
            file=file, key=dotted(path), value=value, allowed=f"a section: {', '.join(SECTIONS)}", remedy=remedy
        )


def model_faults(section: str, error: ValidationError, leaves: Layer, *, defaults: Layer) -> Iterator[Fault]:
    """Yield one fault per key that the section's model refuses; ``defaults`` word the examples."""
    tree = nested(leaves).get(section, {})
    by_key: dict[str, list[tuple[Path, ErrorDetails]]] = {}
    for details in error.errors(include_url=False):
        path, index = _located(section, tree, details)
        # A union refuses once per member: that is one fault, its words joined by or.
        by_key.setdefault(dotted(path) + index, []).append((path, details))
    for key, found in by_key.items():
        path, details = found[0]
        file = origin(leaves, path)
        value = MISSING if details["type"] == "missing" else details["input"]
        if details["type"] == "extra_forbidden":
            yield Fault(file=file, key=key, value=value, allowed=_siblings_text(path), remedy=_unknown_remedy(path))
        else:
            words = " or ".join(dict.fromkeys(_allowed(path, each) for _, each in found))
            yield Fault(file=file, key=key, value=value, allowed=words, remedy=_remedy(path, file, value, defaults))


def _located(section: str, tree: Any, details: ErrorDetails) -> tuple[Path, str]:
    """Return the path of the faulty key and, for an item of a list, its index as ``[n]``."""
    path, index, here = [section], "", tree
    for step in details["loc"]:
        if isinstance(here, Mapping) and step in here:
            here = here[str(step)]
            path.append(str(step))
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
            index += f"[{step}]"
        elif details["type"] == "missing" and isinstance(here, Mapping):
            path.append(str(step))
            break
        else:
            break
    return tuple(path), index


def _allowed(path: Path, details: ErrorDetails) -> str:
    in_list = any(isinstance(step, int) for step in details["loc"])
    own_rule = details["type"] in ("value_error", "string_pattern_mismatch")
    return _plain(details["msg"]) if in_list or own_rule else allowed_at(path)


def _plain(message: str) -> str:
    text = re.sub(r"^(Input should be |Value error, |Input should have |String should |Tuple should )", "", message)
    return text.replace(" after validation", "")


def _remedy(path: Path, file: str, value: Any, defaults: Layer) -> str:
    default = defaults.get(path)
    example = f", e.g. {json.dumps(default.value)}, the shipped default" if default is not None else ""
    return f"Write an allowed value{example}." if file == "--set" else f"Write an allowed value in {file}{example}."


def _siblings(path: Path) -> tuple[str, ...]:
    model = model_of(annotation_at(path[:-1]))
    fields = model.model_fields.items() if model else ()
    return tuple(name for field_name, info in fields for name in names_of(field_name, info))


def _siblings_text(path: Path) -> str:
    return f"a key of {dotted(path[:-1])}: {', '.join(_siblings(path))}"


def _unknown_remedy(path: Path) -> str:
    if SECRET_KEY.search(path[-1]):
        return "Take it out: secrets stand in the environment or .env (TIMEGPT_API_KEY), never in settings."
    return _did_you_mean(path[-1], _siblings(path), above=path[:-1])


def _did_you_mean(name: str, names: tuple[str, ...], above: Path = ()) -> str:
    meant = closest(name, names)
    return f"Did you mean {dotted((*above, meant))}?" if meant else "Take it out or write one of these."
