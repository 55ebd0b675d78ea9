"""What a source delivered comes back byte for byte, is kept once, and whoever is killed or late leaves it so."""

import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.adapters.news.raw_store import Answer, NewsDamaged, RawStore
from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStore

DAY, AT = date(2024, 7, 1), datetime(2024, 7, 1, 20, 5, tzinfo=UTC)
ASKED = "series/observations?series_id=CPIAUCSL&realtime_start=2024-07-01"


def kept(store: RawStore, body: bytes, asked: str = ASKED, day: date = DAY) -> Answer:
    return store.keep("fred", asked, body, day=day, fetched_at=AT, status=200)


@pytest.fixture(params=["disk", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return a place of each kind."""
    return LocalStore(tmp_path) if request.param == "disk" else request.getfixturevalue("bucket")()


def test_an_answer_is_found_by_its_question_and_its_bytes_by_their_hash(objects: ObjectStore) -> None:
    store = RawStore(objects)
    assert store.answered("fred", ASKED) is None
    answer = kept(store, b'{"observations": []}')
    assert store.answered("fred", ASKED) == answer
    assert (answer.size, answer.day, answer.fetched_at, answer.status) == (20, DAY, AT, 200)
    assert store.body(answer.content_hash) == b'{"observations": []}'
    assert store.answered("fred", ASKED + "&offset=1000") is None
    assert store.answered("calendar", ASKED) is None


def test_of_two_answers_the_first_stays_and_is_what_the_second_is_told(objects: ObjectStore) -> None:
    store = RawStore(objects)
    first = kept(store, b"first")
    assert kept(store, b"second") == first == store.answered("fred", ASKED)


@settings(max_examples=30)
@given(
    asked=st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=6, unique=True), body=st.binary(max_size=99)
)
def test_every_question_has_an_answer_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, asked: list[str], body: bytes
) -> None:
    asked = [one.encode("utf-8", "replace").decode() for one in asked]
    store = RawStore(LocalStore(tmp_path_factory.mktemp("news")))
    for number, one in enumerate(dict.fromkeys(asked)):
        kept(store, body + bytes([number]), one)
    answers = {answer.asked: answer for answer in store.listed("fred")}
    assert answers.keys() == set(asked)
    for number, one in enumerate(dict.fromkeys(asked)):
        assert store.answered("fred", one) == answers[one]
        assert store.body(answers[one].content_hash) == body + bytes([number])
        assert one in [answer.asked for answer in store.listed("fred", one)]


def test_answers_are_listed_by_the_beginning_of_their_question(objects: ObjectStore) -> None:
    store = RawStore(objects)
    for asked in ("2024-07-01/b", "2024-07-01/a", "2024-07-02/a", "2024_07_01/x"):
        kept(store, asked.encode(), asked)
    assert [answer.asked for answer in store.listed("fred", "2024-07-01/")] == ["2024-07-01/a", "2024-07-01/b"]
    assert len(list(store.listed("fred"))) == 4


def test_equal_bytes_lie_once(tmp_path: Path) -> None:
    store = RawStore(LocalStore(tmp_path))
    assert kept(store, b"same", "a").content_hash == kept(store, b"same", "b").content_hash
    assert len(list((tmp_path / "news" / "bodies").iterdir())) == 1


def test_ten_who_keep_an_answer_at_once_are_told_of_one(objects: ObjectStore) -> None:
    store, told = RawStore(objects), []
    threads = [threading.Thread(target=lambda i=i: told.append(kept(store, bytes([i])))) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 10
    assert set(told) == {store.answered("fred", ASKED)}


def test_an_answer_whose_bytes_are_gone_is_none_and_is_asked_again(tmp_path: Path) -> None:
    store = RawStore(LocalStore(tmp_path))
    lost = kept(store, b"lost")
    (tmp_path / "news" / "bodies" / f"{lost.content_hash}.zst").unlink()
    with pytest.raises(NewsDamaged, match=r"is gone. Materialise raw_news"):
        store.body(lost.content_hash)
    assert store.answered("fred", ASKED) is None
    found = kept(store, b"found")
    assert store.answered("fred", ASKED) == found
    assert store.body(found.content_hash) == b"found"


@pytest.mark.parametrize("byte", range(0, 40, 3))
def test_a_flipped_byte_is_named_and_its_remedy_works(tmp_path: Path, byte: int) -> None:
    store = RawStore(LocalStore(tmp_path))
    answer = kept(store, b"what was delivered, as it came")
    file = tmp_path / "news" / "bodies" / f"{answer.content_hash}.zst"
    packed = bytearray(file.read_bytes())
    packed[byte % len(packed)] ^= 0x10
    file.write_bytes(packed)
    with pytest.raises(NewsDamaged, match=r"is damaged .*Delete it. Materialise raw_news") as damaged:
        store.body(answer.content_hash)
    assert str(file) in str(damaged.value)
    file.unlink()
    assert store.answered("fred", ASKED) is None
    assert kept(store, b"what was delivered, as it came").content_hash == answer.content_hash
    assert store.body(answer.content_hash) == b"what was delivered, as it came"


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"source": "fred"}'])
def test_a_damaged_entry_is_named_and_its_remedy_works(tmp_path: Path, said: bytes) -> None:
    store = RawStore(LocalStore(tmp_path))
    kept(store, b"body")
    (entry,) = (tmp_path / "news" / "index" / "fred").iterdir()
    entry.write_bytes(said)
    with pytest.raises(NewsDamaged, match=r"is damaged .*Delete it. Materialise raw_news") as damaged:
        store.answered("fred", ASKED)
    assert str(entry) in str(damaged.value)
    entry.unlink()
    assert store.answered("fred", ASKED) is None
    assert kept(store, b"body") == store.answered("fred", ASKED)


def test_an_entry_under_another_question_s_name_answers_nothing(tmp_path: Path) -> None:
    store = RawStore(LocalStore(tmp_path))
    kept(store, b"body", "a")
    kept(store, b"other", "b")
    first, second = sorted((tmp_path / "news" / "index" / "fred").iterdir())
    second.write_bytes(first.read_bytes())
    with pytest.raises(NewsDamaged, match="the entry of another question"):
        store.answered("fred", "b")


def test_what_is_no_source_and_no_hash_names_no_place(tmp_path: Path) -> None:
    store = RawStore(LocalStore(tmp_path))
    with pytest.raises(ValueError, match="is no source"):
        store.answered("../fred", ASKED)
    with pytest.raises(ValueError, match="is no sha256"):
        store.body("../../secret")
