"""Events in the records without secrets, and in SQLite as deflated bytes: some kilobytes of the same words each.

Belongs here: how one event is packed, where it is (un)packed on its way, and the road back to plain text
(``python -m timegpt_assets.instance.packed_events DAGSTER_HOME``), which whoever leaves this storage takes.
"""

import sqlite3
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import BulkActionsTable, DaemonHeartbeatsTable
from dagster._core.storage.schedules.schema import JobTickTable
from sqlalchemy import Dialect, Text, TypeDecorator

FORM = b"\x01"
"""First byte of a packed event: which of WORDS it leans on. Text in UTF-8 JSON begins with none such."""
WORDS = (
    b'"dagster/input_data_version/": "", "dagster/input_event_pointer/": "", "AssetMaterializationPlannedData", '
    b'"partitions_subset": null}, "event_type_value": "ASSET_MATERIALIZATION_PLANNED", "logging_tags": {}, '
    b'"message": "__ASSET_JOB intends to materialize asset [\\"", \\"\\"]", "pid": null, "solid_handle": null, '
    b'"step_handle": null, "step_kind_value": null}, "error_info": null, "user_message": ""}{"__class__": '
    b'"AssetCheckEvaluation", "blocking": true, "check_name": "matches_table", "description": "Judged together '
    b'with the run\'s other partitions: the run\'s own evaluation has the figures.", "metadata": {}, "partition": '
    b'null, "severity": {"__enum__": "AssetCheckSeverity.ERROR"}, "success": true, "target_materialization_data": '
    b'{"__class__": "AssetCheckEvaluationTargetMaterializationData", "run_id": "", "storage_id": , "timestamp": '
    b'}}, "event_type_value": "ASSET_CHECK_EVALUATION", "message": "Asset check \'\' on \'\' passed."{"__class__": '
    b'"FloatMetadataEntryData", "value": {"__class__": "TextMetadataEntryData", "text": "{"__class__": '
    b'"EventLogEntry", "dagster_event": {"__class__": "DagsterEvent", "event_specific_data": {"__class__": '
    b'"StepMaterializationData", "asset_lineage": [], "materialization": {"__class__": "AssetMaterialization", '
    b'"asset_key": {"__class__": "AssetKey", "path": ["", ""]}, "description": null, "metadata_entries": '
    b'[{"__class__": "EventMetadataEntry", "description": null, "entry_data": {"__class__": '
    b'"IntMetadataEntryData", "value": }, "label": "rows"}], "partition": "20-|", "tags": {"dagster/code_version": '
    b'"", "dagster/data_version": "", "dagster/partition/day": "20", "dagster/partition/symbol": ""}}}, '
    b'"event_type_value": "ASSET_MATERIALIZATION", "logging_tags": {"job_name": "__ASSET_JOB", "op_name": "", '
    b'"resource_fn_name": "None", "resource_name": "None", "run_id": "", "step_key": ""}, "message": "Materialized '
    b'value .", "pid": 1, "pipeline_name": "__ASSET_JOB", "solid_handle": {"__class__": "SolidHandle", "name": "", '
    b'"parent": null}, "step_handle": {"__class__": "StepHandle", "key": "", "solid_handle": {"__class__": '
    b'"SolidHandle", "name": "", "parent": null}}, "step_key": "", "step_kind_value": "COMPUTE"}, "error_info": '
    b'null, "level": 10, "message": "", "pipeline_name": "__ASSET_JOB", "run_id": "", "step_key": "", "timestamp": '
    b'17, "user_message": "Materialized value ."}'
)
"""What events are made of, the most frequent last. Frozen: other words are another FORM, and this one is still read."""
DAMAGED = "a packed event is damaged. Restore history/ of DAGSTER_HOME from a backup."
COLUMNS = {"event_logs": "event", "asset_check_executions": "evaluation_event"}
"""Table -> its column of events."""


def packed(text: str) -> bytes:
    """Return an event's JSON as bytes, about a sixth as many."""
    deflate = zlib.compressobj(level=6, method=zlib.DEFLATED, wbits=-zlib.MAX_WBITS, zdict=WORDS)
    return FORM + deflate.compress(text.encode()) + deflate.flush()


def unpacked(data: bytes) -> str:
    """Return the JSON that ``packed`` was given; ValueError for bytes that it did not make."""
    if data[:1] != FORM:
        raise ValueError(f"an event begins with byte {data[:1]!r}: a later version wrote it. Read it with that one.")
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=WORDS)
    try:
        text = inflate.decompress(data[1:]).decode()
    except (zlib.error, UnicodeDecodeError) as damage:
        raise ValueError(DAMAGED) from damage
    if not inflate.eof or inflate.unused_data:
        raise ValueError(DAMAGED)
    return text


class Packed(TypeDecorator[str]):
    """A text column without secrets that SQLite keeps packed; rows written as text before are read as they are."""

    impl = Text
    cache_ok = True
    redacted: ClassVar[Callable[[str], str]] = staticmethod(str)
    """Takes this process's secrets out of a record."""

    def __init__(self, *, packs: bool = True) -> None:
        """Pack, or write plain text."""
        super().__init__()
        self.packs = packs

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        """Return what is stored."""
        if value is None:
            return None
        plain = Packed.redacted(value)
        return packed(plain) if self.packs and dialect.name == "sqlite" else plain

    def process_result_value(self, value: str | bytes | None, dialect: Dialect) -> str | None:
        """Return what was given."""
        return unpacked(value) if isinstance(value, bytes) else value


EVENTS = (SqlEventLogStorageTable.c.event, AssetCheckExecutionsTable.c.evaluation_event)
OTHERS = (
    AssetKeyTable.c.last_materialization,
    JobTickTable.c.tick_body,
    BulkActionsTable.c.body,
    DaemonHeartbeatsTable.c.body,
)
"""An asset's last event once more, and what sensors, schedules, backfills and the daemon said and failed with."""


def pack_events() -> None:
    """Have this process store events packed, in whatever SQLite event log it opens."""
    for column in EVENTS:
        column.type = Packed()


def redact_records(redacted: Callable[[str], str]) -> None:
    """Have this process store no secret in a record that holds texts of others, in whatever database.

    An error's text is whoever's raised it, metadata and log lines are the assets': each may repeat what it was given.
    """
    Packed.redacted = staticmethod(redacted)
    for column in (*EVENTS, *OTHERS):
        if not isinstance(column.type, Packed):
            column.type = Packed(packs=False)


def to_text(home: Path) -> int:
    """Write every packed event of a DAGSTER_HOME as text again, and return how many there were."""
    count = 0
    for file in sorted((home / "history" / "runs").glob("*.db")):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.create_function("unpacked", 1, unpacked, deterministic=True)
            for table, column in COLUMNS.items():
                plain = f"update {table} set {column} = unpacked({column}) where typeof({column}) = 'blob'"  # noqa: S608 - names of ours
                count += connection.execute(plain).rowcount
    return count


if __name__ == "__main__":
    sys.stdout.write(f"{to_text(Path(sys.argv[1]))} events are text again.\n")
