"""What is no record of an answer is damage, told with its remedy: a stranger's file stops nothing else."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from timegpt_assets.adapters.call_errors import CacheDamaged
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.cache import ForecastCache, StoredAnswer
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets.adapters.timegpt.record import fault
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

DEEP: dict[str, Any] = json.loads('{"a":' * 600 + "{}" + "}" * 600)
WRONG: dict[str, dict[str, Any]] = {
    "asked at no time": {"asked_at": "soon"},
    "asked in no zone": {"asked_at": "2024-07-01T14:00:00"},
    "of no day": {"day": "x"},
    "an attempt that is no number": {"attempt": {}},
    "an attempt no ledger can hold": {"attempt": 10**30},
    "no symbols": {"symbols": None},
    "fewer symbols than scales": {"symbols": ["AAPL"]},
    "scales of text": {"sigma": ["a"] * 3},
    "levels of text": {"levels": "abc"},
    "an endless horizon": {"horizon_min": 10**9},
    "a key that is a number": {"snapshot_key": 7},
    "a regime nobody knows": {"data_regime": "nonsense"},
    "made by nobody": {"score_source": None},
    "nobody left out": {"left_out": 5},
    "windows of none": {"windows": []},
    "windows nobody counted": {"windows": [{"snapshot_ts": "2024-07-01T14:00:00+00:00", "symbols": [], "sigma": [],
                                            "target_scale": []}]},
    "a reach of nobody": {"reach": [1.0]},
    "nested": {"x": DEEP},
}  # fmt: skip
BARE = '"request_hash": "KEY", "sha256": "DIGEST"'
HEADS = ("hello", "5", "null", "[]", "{}", f"{{{BARE}}}", f'{{{BARE}, "record": 5}}', f'{{{BARE}, "record": {{}}}}')


@pytest.fixture(scope="module")
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=20) as running:
        yield running


@pytest.fixture(scope="module")
def good(server: TimeGPTServer, tmp_path_factory: pytest.TempPathFactory) -> StoredAnswer:
    """Return a whole answer to a frame, of another machine."""
    there = timegpt(server.url, tmp_path_factory.mktemp("there"))
    key = there.answers([frame(14)], budget_run_id="a").rows["request_hash"][0]
    answer = there.cache.read(server.host, key)
    assert answer is not None
    return answer


def laid(folder: Path, server: TimeGPTServer, key: str, head: str, body: bytes) -> TimeGPT:
    """Return a forecaster in whose cache a file of this first line lies under the request's hash."""
    here = timegpt(server.url, folder)
    here.answers([frame(16)], budget_run_id="before")
    told = head.replace("KEY", key).replace("DIGEST", hashlib.sha256(body).hexdigest())
    file = folder / "cache" / server.host.replace(":", "_") / key[:2] / f"{key}.zst"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(told.encode() + b"\n" + body))
    return timegpt(server.url, folder)


def head_of(record: dict[str, Any]) -> str:
    return json.dumps({"request_hash": "KEY", "sha256": "DIGEST", "record": record})


def test_the_record_of_a_paid_answer_is_one(good: StoredAnswer) -> None:
    assert fault(good.record) == ""
    assert fault({"model": "timegpt-1", "attempt": 1, "sha256": "x"}) == "", "the model's parameters say no more"


@pytest.mark.parametrize("how", sorted(WRONG.keys() - {"nested"}))
def test_each_thing_that_keeps_a_record_from_being_one_is_named(how: str, good: StoredAnswer) -> None:
    assert fault({**good.record, **WRONG[how]}) != ""
    for name in WRONG[how]:
        if name not in ("windows", "left_out", "reach"):
            assert fault({key: value for key, value in good.record.items() if key != name}) != ""


@pytest.mark.parametrize("head", [*HEADS, head_of({}), "nested", "asked at no time"])
def test_a_file_without_a_record_is_damage_that_stops_nothing_else_and_reask_mends_it(
    head: str, server: TimeGPTServer, good: StoredAnswer, tmp_path: Path
) -> None:
    line = head_of({**good.record, **WRONG[head]}) if head in WRONG else head
    here = laid(tmp_path, server, good.request_hash, line, good.body)
    assert here.answers([frame(16)], budget_run_id="a").sent == 0
    with pytest.raises(CacheDamaged, match=r"is damaged: .*/damaged/.*pay again with --reask"):
        here.answers([frame(14)], budget_run_id="b")
    assert cache_care.verified(here.cache, here.ledger, server.host).damaged != []
    assert timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="c", reask=True).sent == 1
    assert timegpt(server.url, tmp_path).answers([frame(14), frame(16)], budget_run_id="d").sent == 0


@pytest.mark.parametrize("said", [b"no json", b"5", b'{"key": 5}', b'{"key": ["KEY", {"symbols": 5}]}'])
def test_an_index_that_is_none_is_passed_over_and_the_answers_are_taken_over(
    said: bytes, server: TimeGPTServer, good: StoredAnswer, tmp_path: Path
) -> None:
    carried, here = ForecastCache(LocalStore(tmp_path / "carried")), timegpt(server.url, tmp_path / "here")
    carried.write(server.host, good.request_hash, good.record, good.body)
    name = f"{server.host.replace(':', '_')}/{cache_care.INDEX}"
    carried.objects.update(name, lambda _: said.replace(b"KEY", good.request_hash.encode()))
    assert cache_care.imported(here.cache, here.ledger, server.host, carried).entered == 1
    assert orjson.loads(good.body)["mean"]
    assert here.answers([frame(14)], budget_run_id="a").sent == 1, "the model's parameters alone"
