"""The verb about models: what is in the registry, what a model says of itself, whether it is whole, and signing it.

Belongs here: what is chosen, looked at and printed. What is believed is adapters/models/registry.py.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import typer
from rich.text import Text

from timegpt_assets.adapters.models.live import Live
from timegpt_assets.adapters.models.registry import ArtifactRefused, ModelRegistry, Version
from timegpt_assets.adapters.models.signing import SIGNING_KEY, Signer
from timegpt_assets.cli.exit_codes import FAILED
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import core_inputs
from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.core.models.manifests import SHOWN, Artifact, Expected, place_fault
from timegpt_assets.engine.stages import Refused
from timegpt_assets.runtime import Runtime, daily_files, model_registry

UNREADABLE = ""
"""Stands for the digest of what is live where that cannot be read."""


@dataclass(frozen=True)
class Choice:
    """What is asked for; an empty word asks for all."""

    name: str
    month: str
    digest: str


@dataclass(frozen=True)
class Found:
    """One version: what is live of its month, and the artifact or why it is refused."""

    version: Version
    live: Live | None
    artifact: Artifact | None
    refused: ArtifactRefused | None

    @property
    def is_live(self) -> bool:
        """Return whether it is the one that is used."""
        return self.live is not None and self.live.digest == self.version.digest


def models(runtime: Runtime, action: str, choice: Choice, *, as_json: bool) -> None:
    """List, show, verify or sign what is chosen, and print it. Raises Refused for what is not there."""
    registry = model_registry(runtime)
    if choice.month and place_fault("a", choice.month, "0" * 64):
        raise Refused(f"--month {choice.month} is no month. Write it as 2025-12.")
    if action == "list":
        _list(runtime, registry, choice, as_json=as_json)
    elif action == "show":
        _show(registry, _one(runtime, registry, choice), as_json=as_json)
    elif action == "verify":
        _verify(runtime, registry, choice, as_json=as_json)
    else:
        _sign(runtime, registry, _one(runtime, registry, choice), as_json=as_json)


def _chosen(runtime: Runtime, registry: ModelRegistry, choice: Choice) -> list[Version]:
    """Return the versions that are meant. Raises Refused where none is, though there are some, or one was named."""
    there = _there(registry)
    names = sorted({version.name for version in there})
    found = [
        version
        for version in there
        if choice.name in ("", version.name)
        and choice.month in ("", version.month)
        and version.digest.startswith(choice.digest)
    ]
    if found or not (choice.name or choice.month or choice.digest):
        return found
    if not there:
        where, profile = registry.objects.shown("models/registry"), runtime.settings.profile
        raise Refused(f"{where} holds no models. Make some: timegpt-assets train --profile {profile}")
    if choice.name and choice.name not in names:
        meant = did_you_mean(choice.name, names)
        raise Refused(f"no model is called {choice.name}. {meant}Choose from: {', '.join(names)}.")
    of_it = sorted({f"{v.month} {v.digest[:SHOWN]}" for v in there if choice.name in ("", v.name)})
    raise Refused(f"none of {choice.name or 'these models'} is of that month and digest. There: {', '.join(of_it)}.")


def _one(runtime: Runtime, registry: ModelRegistry, choice: Choice) -> Version:
    """Return the one version that is meant: of the last month that has a live one, the live one, unless said."""
    found = _chosen(runtime, registry, choice)
    if choice.digest and len({version.digest for version in found}) == 1:
        return found[-1]
    for month in sorted({version.month for version in found}, reverse=True):
        live = registry.live(choice.name, month)
        if live and live.digest.startswith(choice.digest):
            return Version(choice.name, month, live.digest)
    there = ", ".join(f"{version.month} {version.digest[:SHOWN]}" for version in found)
    raise Refused(f"none of these is live: {there}. Say --month and --digest.")


def _there(registry: ModelRegistry) -> list[Version]:
    """Return every version, and of each month what shall be live: also where it is gone, or nobody can read which."""
    contents = registry.contents()
    found = set(contents.versions)
    for name, month in contents.live:
        try:
            live = registry.live(name, month)
        except ArtifactRefused:
            found.add(Version(name, month, UNREADABLE))
        else:
            found |= {Version(name, month, live.digest)} if live else set()
    return sorted(found)


def _looked_at(registry: ModelRegistry, version: Version, expected: Expected | None) -> Found:
    """Return what is found of a version: what is live must be usable, what is not must be whole."""
    live: Live | None = None
    try:
        live = registry.live(version.name, version.month)
    except ArtifactRefused as refused:
        if version.digest == UNREADABLE:
            return Found(version, None, None, refused)
    is_live = live is not None and live.digest == version.digest
    asked = registry if is_live else replace(registry, demand_signature=False)
    try:
        loaded = asked.load(version.name, version.month, version.digest, expected if is_live else None)
    except ArtifactRefused as refused:
        return Found(version, live, None, refused)
    return Found(version, live, loaded, None)


def _list(runtime: Runtime, registry: ModelRegistry, choice: Choice, *, as_json: bool) -> None:
    found = [_looked_at(registry, version, None) for version in _chosen(runtime, registry, choice)]
    rows = [_row(one) for one in found]
    if as_json:
        _json({"registry": registry.objects.shown("models/registry"), "models": rows})
        return
    if not rows:
        where, profile = registry.objects.shown("models/registry"), runtime.settings.profile
        Terminal().print(
            f"{where} holds no models. Make some: timegpt-assets train --profile {profile}", soft_wrap=True
        )
        return
    columns = ("name", "month", "digest", "sessions", "validation", "signed by", "live", "refused")
    table = Table(columns, title="models; validation: pinball loss over the control arm's")
    for row in rows:
        ratio, sessions = row["validation_ratio"], row["sessions"]
        table.add(
            row["name"],
            row["month"],
            row["digest"][:SHOWN],
            "–" if sessions is None else sessions,
            "–" if ratio is None else f"{ratio:.3f}",
            row["signed_by"] or "nobody",
            Text("yes", "green") if row["live"] else "",
            row["refused"] or "",
        )
    Terminal().print(table)


def _row(found: Found) -> dict[str, Any]:
    manifest = found.artifact.manifest if found.artifact else {}
    return {
        "name": found.version.name,
        "month": found.version.month,
        "digest": found.version.digest,
        "sessions": manifest.get("sessions"),
        "validation_ratio": validation_ratio(manifest),
        "signed_by": found.artifact.signed_by if found.artifact else None,
        "live": found.is_live,
        "since": found.live.since.isoformat() if found.live and found.is_live else None,
        "refused": found.refused.reason if found.refused else None,
    }


def validation_ratio(manifest: Mapping[str, Any]) -> float | None:
    """Return the pinball loss in validation over the control arm's, None where either is unknown."""
    control = manifest.get("control_arm", {})
    own, arm = control.get("pinball"), control.get("against_pinball")
    return own / arm if own is not None and arm else None


def _show(registry: ModelRegistry, version: Version, *, as_json: bool) -> None:
    # what nobody signed is looked at before somebody does
    found = _looked_at(replace(registry, demand_signature=False), version, None)
    live, artifact = found.live, found.artifact
    if artifact is None:
        raise found.refused or Refused(f"{version.name} is gone. See: timegpt-assets models list")
    place = {
        "digest": version.digest,
        "live": found.is_live,
        "since": live.since.isoformat() if live and found.is_live else None,
        "previous": live.previous if live and found.is_live else None,
        "training_seconds": live.seconds if live and found.is_live else None,
        "signed_by": artifact.signed_by,
    }
    if as_json:
        _json(place | {"manifest": artifact.manifest})
        return
    folds = artifact.manifest["fold_metrics"]
    told = Table(("what", "value"), title=f"{version.name} of {version.month}")
    for name, value in (*place.items(), *artifact.manifest.items()):
        if name not in ("name", "month") and not (name == "fold_metrics" and _is_rows(folds)):
            told.add(name.replace("_", " "), _said(value))
    Terminal().print(told)
    if _is_rows(folds):
        columns = list(dict.fromkeys(key for fold in folds for key in fold))
        table = Table(columns, title="folds")
        for fold in folds:
            table.add(*(_said(fold.get(key)) for key in columns))
        Terminal().print(table)


def _is_rows(folds: object) -> bool:
    return isinstance(folds, list) and bool(folds) and all(isinstance(fold, dict) and fold for fold in folds)


def _said(value: object) -> str:
    """Return a field as a person reads it: a line for each entry."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_said(part)}" for name, part in value.items()) or "–"
    if isinstance(value, list):
        return ", ".join(map(_said, value)) or "–"
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _verify(runtime: Runtime, registry: ModelRegistry, choice: Choice, *, as_json: bool) -> None:
    expected = core_inputs.expected(runtime.settings, daily_files(runtime).calendar)
    found = [_looked_at(registry, version, expected) for version in _chosen(runtime, registry, choice)]
    refused = [str(one.refused) for one in found if one.refused]
    if choice == Choice("", "", ""):
        strange = registry.contents().strange
        refused += [f"{registry.objects.shown(name)} is none of the registry's. Take it away." for name in strange]
    if as_json:
        _json({"verified": sum(one.refused is None for one in found), "refused": refused})
    else:
        for line in refused:
            Terminal(stderr=True).print(line, soft_wrap=True)
        whole = sum(one.refused is None for one in found)
        Terminal().print(f"{whole} of {len(found)} artifacts are whole; refused: {len(refused)}")
    if refused:
        raise typer.Exit(FAILED)


def _sign(runtime: Runtime, registry: ModelRegistry, version: Version, *, as_json: bool) -> None:
    # a signer without a key refuses with what to set
    signer = Signer(lambda: runtime.environment.get(SIGNING_KEY), registry.public_keys)
    who = registry.sign(version.name, version.month, version.digest, signer)
    if as_json:
        _json({"name": version.name, "month": version.month, "digest": version.digest, "signed_by": who})
        return
    Terminal().print(f"{version.name} of {version.month}, {version.digest[:SHOWN]}: signed by {who}", soft_wrap=True)


def _json(found: Mapping[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(found).decode() + "\n")
