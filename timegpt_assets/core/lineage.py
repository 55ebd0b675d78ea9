"""What a ``lineage_id`` stands for: the contract every stored row was made under, and the ids it was made from.

Belongs here: the record and its id. Contents of bars are no part of it: a row's own key (day, symbol) and the records'
``parents`` lead back to the bars, and a bar that changes later must not change what was known before it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

FEATURE_PAYLOAD_SCHEMA_VERSION = "1"
"""Raised when the columns of a request change meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One record: ``parents`` maps each asset read to its lineage id."""

    asset: str
    profile: str
    code_version: str
    config_digest: str
    data_version: str
    """The source bars come from. Stored under this name since the first record, and an id is a digest of the names."""
    feature_payload_schema_version: str
    feature_version: str
    features_hash: str
    model_name: str
    model_version: str
    parents: Mapping[str, str]

    @property
    def lineage_id(self) -> str:
        """Return the first 16 hex digits of the sha256 of the record's canonical JSON."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:16]

    def contract(self) -> dict[str, str]:
        """Return the fields but ``asset``, as text: what a person reads of a record.

        The contract's ``data_version`` is no field: it is a digest of the bars of a range of days (bars/content.py).
        """
        fields = asdict(self)
        fields["data_source"] = fields.pop("data_version")
        parents = ", ".join(f"{name} {key}" for name, key in sorted(self.parents.items()))
        return {name: str(value) for name, value in fields.items() if name not in ("asset", "parents")} | {
            "parents": parents or "the source"
        }

    def as_json(self) -> str:
        """Return the record as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def path_to_bars(records: Mapping[str, Lineage], lineage_id: str) -> list[Lineage]:
    """Return the record of an id and of everything it was made from, nearest first, each once.

    Raises KeyError for an id without a record.
    """
    path, waiting = [], [lineage_id]
    while waiting:
        record = records[waiting.pop(0)]
        if record not in path:
            path.append(record)
            waiting.extend(record.parents.values())
    return path


def without_code(records: Mapping[str, Lineage], lineage_id: str, known: dict[str, str] | None = None) -> str:
    """Return the id that stands for everything an id does but the code: equal where code alone differs.

    ``known`` keeps what was found: by way of many children a record is met thousands of times. Raises KeyError for an
    id, or one it leads to, without a record.
    """
    known = {} if known is None else known
    if lineage_id not in known:
        record = records[lineage_id]
        parents = {name: without_code(records, parent, known) for name, parent in record.parents.items()}
        known[lineage_id] = replace(record, code_version="", parents=parents).lineage_id
    return known[lineage_id]
