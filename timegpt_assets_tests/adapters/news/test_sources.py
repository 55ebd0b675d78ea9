"""Sessions and their news: what is kept is asked of nobody, what fails is a row, and what comes late counts late."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.news.calendar import Scheduled
from timegpt_assets.adapters.news.connector import Question
from timegpt_assets.adapters.news.gdelt_files import GdeltFiles
from timegpt_assets.adapters.news.raw_store import NewsDamaged, RawStore
from timegpt_assets.adapters.news.sources import NewsSources
from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStore
from timegpt_assets.core.calendar import shifted
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.news.formats import calendar as schedule
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.adapters.buckets import Opened
from timegpt_assets_tests.adapters.news.askers import AFTER, DAY, DOC, FILES, Hands, asked, doc, files, sources
from timegpt_assets_tests.servers.gdelt import Fault, GdeltServer, too_many

TUESDAY = shifted(DAY, 1)


@pytest.fixture
def gdelt() -> Iterator[GdeltServer]:
    with GdeltServer(per_hour=0.5) as running:
        yield running


def searching(
    folder: Path | ObjectStore,
    hands: Hands,
    server: GdeltServer,
    names: Mapping[str, str] | None = None,
    *,
    live: bool = False,
) -> NewsSources:
    """Return the search alone, of two companies."""
    connector = doc(server.url, names) if names is not None else doc(server.url)
    return sources(folder, asked(folder, hands, connector, DOC, spacing_s=10.0), live=live)


def test_what_was_answered_is_asked_of_nobody_again(gdelt: GdeltServer, tmp_path: Path) -> None:
    first = searching(tmp_path, Hands(), gdelt).deliver([DAY])
    assert first["failed"].null_count() == first.height == 2
    hands = Hands(now=AFTER + timedelta(days=30))
    again = searching(tmp_path, hands, gdelt).deliver([DAY, DAY])
    assert again.equals(first)
    assert len(gdelt.asked) == 2
    assert hands.slept == []


def test_in_a_bucket_it_is_kept_counted_and_left_alone_as_on_a_disk(gdelt: GdeltServer, bucket: Opened) -> None:
    objects, hands = bucket(), Hands()
    gdelt.faults += [None, too_many()]
    raw = searching(objects, hands, gdelt).deliver([DAY])
    assert raw["failed"].null_count() == 1
    hands.pass_(1)
    assert searching(objects, hands, gdelt).deliver([DAY])["failed"].null_count() == 1
    assert len(gdelt.asked) == 2
    hands.pass_(1800)
    found = searching(objects, hands, gdelt)
    assert found.deliver([DAY])["failed"].null_count() == 2
    assert len(gdelt.asked) == 3
    assert found.attempts([DAY])["outcome"].to_list() == ["answered", "throttled", "held", "answered"]


def test_a_damaged_attempt_is_named_and_its_remedy_works(gdelt: GdeltServer, tmp_path: Path) -> None:
    ours = searching(tmp_path, Hands(), gdelt)
    ours.deliver([DAY])
    first, _ = sorted((tmp_path / "news" / "attempts" / str(DAY) / "gdelt_doc").iterdir())
    first.write_bytes(b"{")
    with pytest.raises(NewsDamaged, match="Delete it") as damaged:
        ours.attempts([DAY])
    assert str(first) in str(damaged.value)
    first.unlink()
    assert ours.attempts([DAY]).height == 1


def test_the_bytes_of_a_row_are_those_that_came(gdelt: GdeltServer, tmp_path: Path) -> None:
    ours = searching(tmp_path, Hands(), gdelt)
    raw = ours.deliver([DAY])
    found = list(ours.delivered(raw))
    assert [(one.asked, one.content_hash, one.fetched_at) for one in found] == raw.select(
        "asked", "content_hash", "fetched_at"
    ).rows()
    assert all(one.body.startswith(b'{"articles"') for one in found)
    assert [len(one.body) for one in found] == raw["size"].to_list()
    (tmp_path / "news" / "bodies" / f"{raw['content_hash'][0]}.zst").unlink()
    with pytest.raises(NewsDamaged, match="Materialise raw_news"):
        list(ours.delivered(raw))
    assert ours.deliver([DAY])["failed"].null_count() == 2
    assert len(list(ours.delivered(raw))) == 2


def test_a_refusal_is_a_row_and_the_rest_is_not_even_asked_until_its_cooldown_is_over(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    gdelt.faults += [too_many()]
    hands = Hands()
    raw = searching(tmp_path, hands, gdelt).deliver([DAY])
    meta, nvidia = raw.rows(named=True)
    assert nvidia["failed"].startswith("throttled: Please limit requests to one every 5 seconds")
    assert (nvidia["status"], nvidia["content_hash"]) == (429, None)
    assert meta["failed"].startswith("not asked: gdelt_doc is left alone until 2024-07-01 21:00:00Z, because: ")
    assert meta["status"] is None
    assert len(gdelt.asked) == 1
    hands.pass_(1)  # another process, still too early; then one that may ask again
    searching(tmp_path, hands, gdelt).deliver([DAY])
    assert len(gdelt.asked) == 1
    hands.pass_(1800)
    raw = searching(tmp_path, hands, gdelt).deliver([DAY])
    assert raw["failed"].null_count() == 2
    assert len(gdelt.asked) == 3
    attempts = searching(tmp_path, hands, gdelt).attempts([DAY])
    assert attempts["outcome"].to_list() == ["throttled", "held", "held", "answered", "answered"]
    assert attempts["breaker"].to_list() == ["open", "open", "open", "probing", "closed"]


def test_a_source_that_is_down_stops_neither_its_own_other_days_nor_another_source(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    with GdeltServer() as gone:
        url = gone.url
    hands = Hands(now=AFTER + timedelta(days=1))
    down = asked(tmp_path, hands, doc(url), DOC)
    up = asked(tmp_path, hands, Hourly(base_url=gdelt.url), FILES)
    raw = sources(tmp_path, down, up).deliver([DAY, TUESDAY])
    states = raw.group_by("day", "source").agg(pl.col("failed").null_count(), n=pl.len()).sort("day", "source")
    assert states.rows() == [
        (DAY, "gdelt_doc", 0, 2),
        (DAY, "gdelt_files", 4, 4),
        (TUESDAY, "gdelt_doc", 0, 2),
        (TUESDAY, "gdelt_files", 4, 4),
    ]


@dataclass(frozen=True, kw_only=True)
class Hourly(GdeltFiles):
    """The files of a window's last hour alone."""

    def questions(self, window: tuple[datetime, datetime], day: date) -> Sequence[Question]:
        return super().questions((window[1] - timedelta(hours=1), window[1]), day)


def hourly(folder: Path, hands: Hands, server: GdeltServer, *, live: bool = False) -> NewsSources:
    return sources(folder, asked(folder, hands, Hourly(base_url=server.url), FILES), live=live)


def test_a_file_that_is_missing_is_looked_for_again_and_found(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.missing.add("20240701193000.export.CSV.zip")
    hands = Hands()
    raw = hourly(tmp_path, hands, gdelt).deliver([DAY])
    assert raw["failed"].to_list() == [None, "empty: GDELT has no such file, or not yet", None, None]
    gdelt.missing.clear()
    assert hourly(tmp_path, hands, gdelt).deliver([DAY])["failed"].null_count() == 4
    assert len(gdelt.asked) == 5


def test_nothing_is_asked_before_its_answer_can_be_whole(gdelt: GdeltServer, tmp_path: Path) -> None:
    hands = Hands(now=datetime(2024, 7, 1, 19, 46, tzinfo=UTC))
    raw = hourly(tmp_path, hands, gdelt).deliver([DAY])
    assert raw["failed"].null_count() == 2
    assert raw["failed"][2] == "not asked yet: there is no whole answer before 2024-07-01 20:00Z"
    found = searching(tmp_path, hands, gdelt).deliver([DAY])
    assert found["failed"].unique().to_list() == ["not asked yet: there is no whole answer before 2024-07-01 20:15Z"]
    assert len(gdelt.asked) == 2


def test_what_the_search_has_forgotten_and_what_it_refuses_is_not_asked_and_said(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    late = Hands(now=AFTER + timedelta(days=200))
    raw = searching(tmp_path, late, gdelt).deliver([DAY])
    assert raw["failed"].unique().to_list() == [
        "not asked: gdelt_doc had this until 2024-09-26 and does not reach back any further"
    ]
    raw = searching(tmp_path, Hands(), gdelt, {"V": "Visa"}).deliver([DAY])
    assert raw["failed"].to_list() == ["not asked: 'Visa' has fewer than 5 letters, which GDELT refuses to search"]
    assert gdelt.asked == []


def test_what_was_cut_short_is_asked_in_halves_and_a_second_time_of_nobody(tmp_path: Path) -> None:
    hands = Hands(now=AFTER + timedelta(days=1))
    with GdeltServer(per_hour=20.0) as busy:
        raw = searching(tmp_path, hands, busy, {"NVDA": "NVIDIA"}).deliver([TUESDAY])
        assert raw.height == 3
        assert raw["failed"].null_count() == 3
        assert searching(tmp_path, hands, busy, {"NVDA": "NVIDIA"}).deliver([TUESDAY]).equals(raw)
        assert len(busy.asked) == 3


def test_live_what_was_missed_is_asked_with_later_days_and_counts_for_the_day_it_came(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    gdelt.missing.add("20240701193000.export.CSV.zip")
    hands = Hands()
    monday = hourly(tmp_path, hands, gdelt, live=True).deliver([DAY])
    assert monday["failed"].drop_nulls().to_list() == ["empty: GDELT has no such file, or not yet"]
    gdelt.missing.clear()
    hands.now = AFTER + timedelta(days=1)
    tuesday = hourly(tmp_path, hands, gdelt, live=True).deliver([TUESDAY])
    late = tuesday.filter(pl.col("asked") == "20240701193000.export.CSV.zip")
    assert late["failed"].to_list() == [None]
    # a day that is made again lists what came for it, and nothing that came later
    before = len(gdelt.asked)
    assert hourly(tmp_path, hands, gdelt, live=True).deliver([TUESDAY]).equals(tuesday)
    again = hourly(tmp_path, hands, gdelt, live=True).deliver([DAY])
    found = ("asked", "content_hash", "fetched_at")
    assert again.select(found).equals(monday.select(found))
    assert again["failed"].drop_nulls().to_list() == ["it came for 2024-07-02, where it counts"]
    # in a replay it belongs to the day it tells of
    assert hourly(tmp_path, hands, gdelt).deliver([DAY])["failed"].null_count() == 4
    assert len(gdelt.asked) == before


def test_live_no_more_than_five_sessions_are_caught_up(gdelt: GdeltServer, tmp_path: Path) -> None:
    sixth = shifted(DAY, 6)
    hands = Hands(now=window(sixth)[1] + timedelta(hours=1))
    raw = hourly(tmp_path, hands, gdelt, live=True).deliver([sixth])
    assert raw.height == 4 * 6
    assert min(raw["asked"])[:8] == "20240702"
    assert raw["day"].unique().to_list() == [sixth]


def test_two_days_at_once_ask_what_failed_once(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.missing.add("20240701193000.export.CSV.zip")
    hands = Hands(now=AFTER + timedelta(days=1))
    raw = hourly(tmp_path, hands, gdelt, live=True).deliver([DAY, TUESDAY])
    assert raw.filter(pl.col("failed").is_not_null()).select("day", "asked").rows() == [
        (DAY, "20240701193000.export.CSV.zip")
    ]
    assert max(gdelt.counts.values()) == 1


def test_a_damaged_entry_is_the_failure_of_its_question_alone(gdelt: GdeltServer, tmp_path: Path) -> None:
    ours = hourly(tmp_path, Hands(), gdelt)
    ours.deliver([DAY])
    entry = next((tmp_path / "news" / "index" / "gdelt_files").glob("20240701193000*"))
    entry.write_bytes(b"{")
    raw = ours.deliver([DAY])
    assert raw["failed"].is_not_null().to_list() == [False, True, False, False]
    assert "Delete it" in raw["failed"][1]
    entry.unlink()
    assert ours.deliver([DAY])["failed"].null_count() == 4


def test_a_damaged_breaker_is_a_failure_and_its_remedy_works(gdelt: GdeltServer, tmp_path: Path) -> None:
    file = tmp_path / "news" / "breakers" / "gdelt_files.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"{")
    ours = hourly(tmp_path, Hands(), gdelt)
    raw = ours.deliver([DAY])
    assert "Delete it: the source is then asked" in raw["failed"][0]
    assert gdelt.asked == []
    file.unlink()
    assert ours.deliver([DAY])["failed"].null_count() == 4


RELEASES = EventCalendar(
    days={"event_cpi": (date(2024, 7, 11),), "event_fomc": (DAY,)},
    times={"event_cpi": (datetime(2024, 7, 11, 12, 30, tzinfo=UTC),)},
)


def test_the_calendar_s_schedule_is_kept_as_it_stood(tmp_path: Path) -> None:
    raw, hands = RawStore(LocalStore(tmp_path)), Hands()
    ours = replace(sources(tmp_path), listed=(Scheduled(events=lambda: RELEASES, store=raw, clock=hands.clock),))
    before = ours.deliver([DAY])
    assert before["failed"].to_list() == [None]
    (body,) = (one.body for one in ours.delivered(before))
    assert [told.title for told in schedule.told(body)] == ["fomc: due on 2024-07-01"]
    hands.pass_(86400)
    assert ours.deliver([DAY]).equals(before)
    changed = EventCalendar(days={"event_fomc": ()})
    later = replace(ours, listed=(Scheduled(events=lambda: changed, store=raw, clock=hands.clock),)).deliver([DAY])
    assert later["content_hash"][0] != before["content_hash"][0]
    assert [one.body for one in ours.delivered(before)] == [body]


def test_a_calendar_that_cannot_be_read_is_a_row(tmp_path: Path) -> None:
    def unreadable() -> EventCalendar:
        raise Explained("events.csv has no column date. Mend it.")

    shelf = Scheduled(events=unreadable, store=RawStore(LocalStore(tmp_path)), clock=Hands().clock)
    raw = replace(sources(tmp_path), listed=(shelf,)).deliver([DAY])
    assert raw.select("source", "failed").rows() == [("calendar", "events.csv has no column date. Mend it.")]


def test_who_comes_first_is_asked_first(gdelt: GdeltServer, tmp_path: Path) -> None:
    hands = Hands()
    listed = (asked(tmp_path, hands, doc(gdelt.url), DOC), asked(tmp_path, hands, Hourly(base_url=gdelt.url), FILES))
    sources(tmp_path, *listed).deliver([DAY])
    assert ["doc" in one for one in gdelt.asked] == [True, True, False, False, False, False]


def test_how_far_it_is_is_said(gdelt: GdeltServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "timegpt_assets")
    gdelt.faults += [Fault(kind="no_match"), None]
    searching(tmp_path, Hands(), gdelt).deliver([DAY])
    assert (
        "gdelt_doc of 2024-07-01: 1 answers, 2 asked now, 1 failed; the first: empty: no article at all" in caplog.text
    )


def test_a_whole_day_of_files_is_asked_in_order(gdelt: GdeltServer, tmp_path: Path) -> None:
    hands = Hands(now=AFTER + timedelta(days=1))
    raw = sources(tmp_path, asked(tmp_path, hands, files(gdelt.url), FILES)).deliver([TUESDAY])
    assert raw.height == 96
    assert raw["failed"].null_count() == 96
    assert gdelt.asked == sorted(gdelt.asked)
