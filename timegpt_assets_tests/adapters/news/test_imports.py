"""Files of news on a disk: which are found, what is kept of them, and which of several imports of a file counts.

Guards against a file that is taken in twice, one that is lost, and one that ends the process.
"""

import gzip
import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timegpt_assets.adapters.market.vendor_files import Limits
from timegpt_assets.adapters.news.imports import Importer, NoNews, Told, counting, news_files
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.news.formats.own_imports import Reading

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LINES = ["2018-03-01 10:00,Acme rises", "2018-03-02 10:00,Acme falls"]
BERLIN, NEW_YORK = Reading(zone="Europe/Berlin"), Reading(zone="America/New_York")


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["time,title", *(lines or LINES)]) + "\n")
    return path


class House:
    """A store, and imports into it a minute apart."""

    def __init__(self, root: Path) -> None:
        self.raw, self.now = RawStore(LocalStore(root)), NOW

    def take(self, path: Path, reading: Reading = BERLIN, *, replace: bool = False, **limits: int) -> Told:
        self.now += timedelta(minutes=1)
        importer = Importer(raw=self.raw, limits=Limits(**limits), reading=reading, now=self.now, replace=replace)  # type: ignore[arg-type]  # some are floats
        ((file, name),) = news_files(path)
        return importer.imported(file, name)

    @property
    def names(self) -> list[tuple[str, Reading]]:
        return [(one.name, one.reading) for _, one in counting(self.raw)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "store")


def test_the_bytes_are_kept_as_they_are_under_a_name_that_says_how_they_are_read(house: House, tmp_path: Path) -> None:
    file = written(tmp_path / "news.csv")
    told = house.take(file)
    ((answer, one),) = counting(house.raw)
    assert told.became == "taken"
    assert house.raw.body(answer.content_hash) == file.read_bytes()
    assert (one.name, one.first, one.last, one.reading) == ("news.csv", date(2018, 3, 1), date(2018, 3, 2), BERLIN)
    assert (answer.fetched_at, one.content_hash) == (house.now, hashlib.sha256(file.read_bytes()).hexdigest())


def test_looking_keeps_nothing(house: House, tmp_path: Path) -> None:
    importer = Importer(raw=house.raw, limits=Limits(), reading=BERLIN, now=NOW, replace=False)
    told = importer.looked_at(written(tmp_path / "news.csv"), "news.csv")
    assert told.found is not None
    assert (told.became, len(told.found.events)) == ("looked at", 2)
    assert not (tmp_path / "store").exists()


def test_the_same_again_changes_nothing_under_another_name_neither(house: House, tmp_path: Path) -> None:
    house.take(written(tmp_path / "news.csv"))
    before = [answer for answer, _ in counting(house.raw)]
    assert house.take(tmp_path / "news.csv").became == "there"
    assert house.take(tmp_path / "news.csv", replace=True).became == "there"
    again = house.take(written(tmp_path / "copy.csv"))
    assert (again.became, again.words) == ("there", "its bytes were taken in as news.csv")
    assert [answer for answer, _ in counting(house.raw)] == before


def test_a_file_that_changed_is_told_and_counts_beside_what_was_there(house: House, tmp_path: Path) -> None:
    house.take(written(tmp_path / "news.csv"))
    told = house.take(written(tmp_path / "news.csv", *LINES, "2018-03-02 11:00,Acme rests"))
    assert told.became == "beside"
    assert told.words.startswith("has changed since 2026-11-27 12:01 UTC")
    assert len(house.names) == 2


def test_a_correction_stands_in_the_place_of_all_of_its_name_and_its_bytes(house: House, tmp_path: Path) -> None:
    first = house.take(written(tmp_path / "news.csv"))
    house.take(written(tmp_path / "other.csv", "2018-03-05 10:00,Other"))
    house.take(written(tmp_path / "news.csv", *LINES, "2018-03-02 11:00,Acme rests"))
    assert house.take(written(tmp_path / "news.csv", "2018-03-02 11:00,Mended"), replace=True).became == "instead"
    assert [name for name, _ in house.names] == ["other.csv", "news.csv"]
    back = house.take(written(tmp_path / "news.csv"), replace=True)
    assert (back.became, back.taken and first.taken and back.taken.content_hash == first.taken.content_hash) == (
        "instead",
        True,
    )
    assert len(house.names) == 2
    assert len(list(house.raw.listed("own"))) == 5, "nothing that was kept is gone"


def test_the_same_bytes_read_otherwise_are_refused_until_they_stand_instead(house: House, tmp_path: Path) -> None:
    file = written(tmp_path / "news.csv")
    house.take(file)
    told = house.take(file, NEW_YORK)
    assert (told.became, told.words.rpartition(", ")[2]) == ("refused", "say --replace.")
    assert house.names == [("news.csv", BERLIN)]
    assert house.take(file, NEW_YORK, replace=True).became == "instead"
    assert house.names == [("news.csv", NEW_YORK)]
    for reading in (BERLIN, NEW_YORK):
        assert house.take(file, reading, replace=True).became == "instead"
        assert house.names == [("news.csv", reading)]


def test_a_folder_is_searched_for_what_could_be_news_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.csv", "sub/a.JSONL", ".hidden.csv", ".git/c.csv", "__MACOSX/d.csv", "readme.md", "sheet.xlsx"):
        written(tmp_path / name)
    assert [name for _, name in news_files(tmp_path)] == ["b.csv", "sheet.xlsx", "sub/a.JSONL"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        NoNews, match=r"empty holds no news: no file that ends in \.csv, .* or \.parquet\. Name another\.$"
    ):
        news_files(tmp_path / "empty")


def test_packed_text_is_kept_unpacked_and_no_more_of_it_than_the_limits_allow(house: House, tmp_path: Path) -> None:
    (tmp_path / "news.csv.gz").write_bytes(gzip.compress(written(tmp_path / "news.csv").read_bytes()))
    told = house.take(tmp_path / "news.csv.gz")
    assert told.became == "taken"
    assert told.taken is not None
    assert house.raw.body(told.taken.content_hash) == (tmp_path / "news.csv").read_bytes()
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"0" * 10_000_000))
    bomb = house.take(tmp_path / "bomb.csv.gz", max_bytes=1_000_000)
    assert (bomb.became, "importing.max_bytes" in bomb.words) == ("refused", True)


@pytest.mark.parametrize("kind", ["folder", "link", "spreadsheet"])
def test_what_is_no_file_of_news_is_refused_with_what_helps(house: House, tmp_path: Path, kind: str) -> None:
    if kind == "link":
        (tmp_path / "news.csv").symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / "news.csv").write_bytes(b"PK\x03\x04")
    path = tmp_path / "news.csv"
    if kind == "folder":
        path = tmp_path / "in"
        (path / "news.csv").mkdir(parents=True)
        with pytest.raises(NoNews):
            news_files(path)
        return
    told = house.take(path)
    assert told.became == "refused"
    assert told.words.endswith(".")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_parquet_is_refused_or_read_and_never_ends_the_process(
    house: House, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "news.parquet"
    frame = pl.DataFrame({"time": ["2018-03-01T10:00Z"] * 50, "title": [f"Acme {n}" for n in range(50)]})
    frame.write_parquet(path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) // 2]))])
    importer = Importer(raw=house.raw, limits=Limits(), reading=BERLIN, now=NOW, replace=False)
    told = importer.looked_at(path, path.name)
    assert told.became == "looked at" or told.words.endswith(".")
