"""Paid bytes come back as they were stored, or as an error that names the file; never as something else."""

import hashlib
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.adapters.call_errors import CacheDamaged, CacheFull
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt.cache import ForecastCache, StoredAnswer
from timegpt_assets_tests.adapters.buckets import BUCKET, Opened
from timegpt_assets_tests.servers.gcs import GCSServer

HOST = "127.0.0.1:8080"
HASH = hashlib.sha256(b"request").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def stored(folder: Path, body: bytes = b'{"mean": [1.0]}') -> tuple[ForecastCache, Path]:
    cache = ForecastCache(LocalStore(folder))
    cache.write(HOST, HASH, {"symbols": ["AAPL"]}, body)
    return cache, folder / "127.0.0.1_8080" / HASH[:2] / f"{HASH}.zst"


@given(body=st.binary(max_size=300), symbols=st.lists(st.text(max_size=5)))
def test_what_is_stored_comes_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, symbols: list[str]
) -> None:
    cache = ForecastCache(LocalStore(tmp_path_factory.mktemp("cache")))
    cache.write(HOST, HASH, {"symbols": symbols}, body)
    assert cache.read(HOST, HASH) == StoredAnswer(HASH, {"symbols": symbols}, body)


def test_what_was_never_stored_is_none_also_for_another_host(tmp_path: Path) -> None:
    cache, _ = stored(tmp_path)
    assert cache.read(HOST, OTHER) is None
    assert cache.read("api.nixtla.io", HASH) is None


def test_equal_answers_are_equal_files(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "a")[1], stored(tmp_path / "b")[1]
    assert first.read_bytes() == second.read_bytes()


def test_the_first_answer_stored_stays(tmp_path: Path) -> None:
    cache, _ = stored(tmp_path, b"first")
    cache.write(HOST, HASH, {}, b"second")
    entry = cache.read(HOST, HASH)
    assert entry is not None
    assert entry.body == b"first"


@pytest.mark.parametrize("byte", range(0, 200, 7))
def test_any_flipped_byte_is_found_and_the_file_set_aside_for_good(tmp_path: Path, byte: int) -> None:
    cache, path = stored(tmp_path)
    packed = bytearray(path.read_bytes())
    packed[byte % len(packed)] ^= 0x10
    path.write_bytes(packed)
    for _ in range(2):
        with pytest.raises(CacheDamaged, match=r"damaged.*Nothing was sent.*--reask") as damaged:
            cache.read(HOST, HASH)
    assert str(path) in str(damaged.value)
    assert not path.exists()
    assert (tmp_path / "127.0.0.1_8080" / "damaged" / path.name).read_bytes() == bytes(packed)


@pytest.mark.parametrize("keep", [0, 1, 10, -1])
def test_a_cut_file_is_found(tmp_path: Path, keep: int) -> None:
    cache, path = stored(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CacheDamaged):
        cache.read(HOST, HASH)


def test_a_file_under_the_wrong_name_is_found(tmp_path: Path) -> None:
    cache, path = stored(tmp_path)
    wrong = path.parents[1] / OTHER[:2] / f"{OTHER}.zst"
    wrong.parent.mkdir()
    path.rename(wrong)
    with pytest.raises(CacheDamaged, match=HASH):
        cache.read(HOST, OTHER)


def test_another_body_packed_by_hand_is_found(tmp_path: Path) -> None:
    cache, path = stored(tmp_path)
    plain = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    path.write_bytes(zstandard.ZstdCompressor().compress(plain.replace(b"1.0", b"2.0")))
    with pytest.raises(CacheDamaged, match="checksum"):
        cache.read(HOST, HASH)


def test_a_restored_file_is_read_again(tmp_path: Path) -> None:
    cache, path = stored(tmp_path)
    good = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(CacheDamaged):
        cache.read(HOST, HASH)
    path.write_bytes(good)
    assert cache.read(HOST, HASH) is not None


def test_an_answer_given_up_is_kept_beside_and_can_be_stored_anew_again_and_again(tmp_path: Path) -> None:
    cache, _ = stored(tmp_path, b"0")
    for body in (b"1", b"2"):
        cache.write(HOST, HASH, {}, b"another")
        before = cache.read(HOST, HASH)
        assert before is not None
        assert before.body != b"another", "nothing makes way by itself"
        cache.write(HOST, HASH, {}, body, replacing=True)
    entry = cache.read(HOST, HASH)
    assert entry is not None
    assert entry.body == b"2"
    assert len(list(tmp_path.rglob("replaced/*"))) == 2


def test_hashes_are_those_of_whole_answers_of_the_host(tmp_path: Path) -> None:
    cache, path = stored(tmp_path)
    cache.write(HOST, OTHER, {}, b"other")
    cache.write("api.nixtla.io", HASH, {}, b"theirs")
    path.with_name(f".{HASH}.1111111111111111.half").write_bytes(b"half")
    assert list(cache.hashes(HOST)) == sorted([HASH, OTHER])


def test_a_crash_while_writing_leaves_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(CacheFull, match=r"could not be stored.*no space"):
        stored(tmp_path)
    assert ForecastCache(LocalStore(tmp_path)).read(HOST, HASH) is None


def test_paid_answers_lie_in_a_bucket_as_they_do_on_a_disk(bucket: Opened, server: GCSServer) -> None:
    """Stored once, read whole, set aside when damaged, given up and stored anew: all of it as objects."""
    cache = ForecastCache(bucket())
    cache.write(HOST, HASH, {"symbols": ["AAPL"]}, b"first")
    cache.write(HOST, HASH, {"symbols": ["AAPL"]}, b"second")
    entry = cache.read(HOST, HASH)
    assert entry == StoredAnswer(HASH, {"symbols": ["AAPL"]}, b"first")
    assert cache.read(HOST, OTHER) is None
    assert list(cache.hashes(HOST)) == [HASH]
    name = next(iter(server.objects[BUCKET]))
    server.put(BUCKET, name, server.objects[BUCKET][name].data[:-3])
    for _ in range(2):
        with pytest.raises(CacheDamaged, match=rf"damaged.*gs://{BUCKET}/.*Nothing was sent.*--reask"):
            cache.read(HOST, HASH)
    cache.write(HOST, HASH, {}, b"third", replacing=True)
    assert [name.split("/")[-2] for name in sorted(server.objects[BUCKET])] == [HASH[:2], "replaced"]
