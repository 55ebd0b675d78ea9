"""What says what a model is: its manifest, written one way only, so that one digest pins every byte of an artifact.

Belongs here: the fields, canonical JSON, names of artifacts and of their files, and what is wrong with a manifest, as
values. Where artifacts lie and who signed them is adapters/models/registry.py.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tables.columns import LADDER

VERSION = 2
WORDS = dict(zip(LADDER, ("lgbm_baseline", "tsmixer", "blend"), strict=True))
"""Forecaster -> how its artifacts are called."""
MANIFEST, SIGNATURE, REPORT = "manifest.json", "manifest.sig", "train_report.json"
SHOWN = 12
"""Of a digest: enough to tell two apart, and what ``models --digest`` finds it by."""
TEACHER = ".teacher.parquet"
"""Ending of the file of a tree's artifact that holds what models said which had not seen the rows."""
FIELDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "version": (int,),
    "kind": (str,),
    "month": (str,),
    "files": (dict,),
    "training_range": (dict,),
    "sessions": (int,),
    "rows": (int,),
    "feature_version": (str,),
    "features_hash": (str,),
    "feature_payload_schema_version": (str,),
    "label_definition": (str,),
    "seed": (int,),
    "library_versions": (dict,),
    "fold_metrics": (list, dict),
    "validation": (dict,),
    "control_arm": (dict,),
    "train_report_hash": (str,),
}
"""Every manifest's fields, and what JSON makes of them; ``kind`` is the forecaster's word."""
OF_KIND: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "lightgbm": {},
    "tsmixer": {
        "type": (str,),
        "normalization": (dict,),
        "n_tokens": (int,),
        "n_channels": (int,),
        "ensemble_alpha": (float, int, type(None)),
    },
    "blend": {"policy": (str,), "parts": (dict,)},
}
"""What a kind's manifest has beside them. ``ensemble_alpha``: the net's share that its own validation chose, null where
none was; ``parts``: forecaster -> digest."""
TSMIXER_TYPE = "tsmixer_liquid"
_ARTIFACT, _FILE = re.compile(r"[a-z0-9][a-z0-9_]{0,99}"), re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,149}")
_MONTH, _DIGEST = re.compile(r"\d{4}-(0[1-9]|1[0-2])"), re.compile(r"[0-9a-f]{64}")


class ManifestError(Explained, ValueError):
    """Raised for what cannot be written into a manifest; names it and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an artifact must have been made under to be used now: ``core_inputs.expected`` of the settings."""

    feature_version: str
    features_hash: str
    feature_payload_schema_version: str
    label_definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntFrom:
    """What a model was taught: first and last session, how many sessions and rows."""

    first_day: date
    last_day: date
    sessions: int
    rows: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest and the files it lists, by name. ``signed_by``: whose signature was verified, None for nobody's."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes] = field(repr=False)
    signed_by: str | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """Return the sha256 of the manifest's canonical JSON."""
        return sha256(canonical(self.manifest))


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value: keys sorted, no blanks, UTF-8, floats as their shortest repr.

    Raises ManifestError for what is no JSON, NaN and infinities among it.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ManifestError(
            f"{error}: this cannot stand in a manifest. Give null for a number that there is not, and plain numbers, "
            "texts, lists and mappings by text for the rest."
        ) from error


def parsed(data: bytes) -> Mapping[str, Any] | None:
    """Return the manifest that is written so, None where it is not the canonical JSON of a mapping."""
    try:
        value = json.loads(data)
        return value if isinstance(value, dict) and canonical(value) == data else None
    except (ValueError, RecursionError):
        return None


def sha256(data: bytes) -> str:
    """Return the digest of bytes, in hexadecimals."""
    return hashlib.sha256(data).hexdigest()


def artifact_name(forecaster: str, universe: str) -> str:
    """Return what artifacts of a forecaster of LADDER are called: ``liquid_<universe>_lgbm_baseline_v2`` and alike."""
    return f"liquid_{re.sub('[^a-z0-9]+', '_', universe.lower())}_{WORDS[forecaster]}_v{VERSION}"


def label_definition(horizon_min: int, sigma_column: str) -> str:
    """Return in words what models learn to say."""
    return f"log return from snapshot_ts over {horizon_min} min / {sigma_column}"


def artifact(
    forecaster: str,
    *,
    universe: str,
    month: str,
    learnt_from: LearntFrom,
    made_under: Expected,
    seed: int,
    saved: Mapping[str, bytes],
    report: Mapping[str, Any],
    own: Mapping[str, Any],
) -> Artifact:
    """Return what was learnt as an artifact: its files, the report of the training among them, and their manifest.

    ``saved``: ending of the file's name, from its dot on -> bytes. ``report``: all that the training tells, and in it
    ``library_versions``, ``fold_metrics`` (a mapping for each fold), ``validation`` and ``control_arm`` (with
    ``pinball``, the arm's own ``against_pinball`` on the same rows and the digest of its ``settings``). ``own``: the
    fields of OF_KIND. Raises ManifestError where a field is missing, unknown or no JSON.
    """
    name, told = artifact_name(forecaster, universe), canonical(report)
    files = {f"{name}{suffix}": data for suffix, data in saved.items()} | {REPORT: told}
    stated = {
        "name": name,
        "version": VERSION,
        "kind": forecaster,
        "month": month,
        "files": {file: sha256(data) for file, data in files.items()},
        "training_range": {"first_day": str(learnt_from.first_day), "last_day": str(learnt_from.last_day)},
        "sessions": learnt_from.sessions,
        "rows": learnt_from.rows,
        "seed": seed,
        "train_report_hash": sha256(told),
    }
    taken = {
        key: report[key] for key in ("library_versions", "fold_metrics", "validation", "control_arm") if key in report
    }
    manifest = json.loads(canonical(stated | asdict(made_under) | taken | dict(own)))
    if found := faults(manifest, name=name, month=month, expected=made_under):
        raise ManifestError(
            f"{name} of {month}: {'; '.join(found)}. Give whoever writes the manifest what it asks for."
        )
    return Artifact(manifest, files)


def place_fault(name: str, month: str, digest: str) -> str | None:
    """Return what is wrong with the words an artifact lies under, None for words that cannot lead elsewhere."""
    for what, pattern, said in (("name", _ARTIFACT, name), ("month", _MONTH, month), ("digest", _DIGEST, digest)):
        if not pattern.fullmatch(said):
            return f"{said!r} is no {what} of an artifact"
    return None


def pin_fault(digest: object) -> str | None:
    """Return what is wrong with the digest of an artifact, None for one that is whole."""
    return None if isinstance(digest, str) and _DIGEST.fullmatch(digest) else f"{digest!r:.70} is no digest"


def faults(manifest: Mapping[str, Any], *, name: str, month: str, expected: Expected | None = None) -> list[str]:
    """Return what is wrong with a manifest that lies under this name and month, a clause each; nothing for a whole one.

    ``expected``: what it must have been made under; None asks for the fields alone.
    """
    kind = manifest.get("kind")
    if not isinstance(kind, str) or kind not in OF_KIND:
        return [f"field kind is {kind!r}, and must be one of {', '.join(OF_KIND)}"]
    fields = {**FIELDS, **OF_KIND[kind]}
    # of the wrong shape nothing more can be asked
    if shape := [*_shape_faults(manifest, fields)]:
        return shape
    return [*_stated_faults(manifest, name, month), *_file_faults(manifest), *_expected_faults(manifest, expected)]


def _shape_faults(manifest: Mapping[str, Any], fields: Mapping[str, tuple[type, ...]]) -> Iterator[str]:
    for key, types in fields.items():
        if key not in manifest:
            yield f"field {key} is missing"
        elif type(manifest[key]) not in types:
            yield f"field {key} is {manifest[key]!r:.60}, and must be {' or '.join(map(_called, types))}"
    for key in sorted(manifest.keys() - fields.keys()):
        yield f"field {key} is unknown"


def _called(kind: type) -> str:
    words = {str: "a text", int: "a whole number", float: "a number", dict: "a mapping", list: "a list"}
    return words.get(kind, "null")


def _stated_faults(manifest: Mapping[str, Any], name: str, month: str) -> Iterator[str]:
    for key, value in (("name", name), ("month", month), ("version", VERSION)):
        if manifest[key] != value:
            yield f"it says {key} {manifest[key]!r}, and lies under {value!r}"
    span = manifest["training_range"]
    days = [span.get("first_day"), span.get("last_day")]
    if not all(isinstance(day, str) and _is_day(day) for day in days) or not days[0] <= days[1] < month:
        yield f"training_range {days[0]} to {days[1]} is no range of days before {month}"
    if min(manifest["sessions"], manifest["rows"]) < 1:
        yield "it was learnt from nothing"
    if manifest["kind"] == "tsmixer" and manifest["type"] != TSMIXER_TYPE:
        yield f"type is {manifest['type']!r}, and must be {TSMIXER_TYPE}"
    if manifest["kind"] == "blend" and not all(_DIGEST.fullmatch(str(part)) for part in manifest["parts"].values()):
        yield "parts are no digests of artifacts"


def _is_day(text: str) -> bool:
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False


def _file_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    for file, digest in manifest["files"].items():
        if not _FILE.fullmatch(file) or file in (MANIFEST, SIGNATURE):
            yield f"{file!r} is no name of a file that an artifact may have"
        elif not _DIGEST.fullmatch(str(digest)):
            yield f"the sha256 of {file} is {digest!r:.70}"
    if manifest["files"].get(REPORT) != manifest["train_report_hash"]:
        yield f"train_report_hash is not the sha256 of {REPORT}"


def _expected_faults(manifest: Mapping[str, Any], expected: Expected | None) -> Iterator[str]:
    for key, value in asdict(expected).items() if expected else ():
        if manifest[key] != value:
            yield f"{key} is {manifest[key]!r}, and {value!r} is in use"
