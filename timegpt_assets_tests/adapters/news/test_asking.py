"""One question, asked by the real client of a local server with every fault: how often, for how long, what of it."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.news import asking as asking_module
from timegpt_assets.adapters.news.asking import MAX_BYTES, Asking, Patience, Told
from timegpt_assets.adapters.news.attempts import AttemptLog
from timegpt_assets.adapters.news.breaker import CLOSED, OPEN, PROBING, Rules
from timegpt_assets.adapters.news.connector import Connector, Question, SecretMissing, Verdict
from timegpt_assets.adapters.news.gdelt_doc import GdeltDoc
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.adapters.news.askers import DAY, DOC, FILES, PATIENCE, Hands, breaker, doc, files
from timegpt_assets_tests.secret_search import KEY, MARK
from timegpt_assets_tests.servers.gdelt import THROTTLED, Fault, GdeltServer, too_many

PATIENT = Rules(failures=99, cooldown_s=300.0, successes=2)


@pytest.fixture
def gdelt() -> Iterator[GdeltServer]:
    with GdeltServer(per_hour=0.5) as running:
        yield running


@dataclass
class Asker:
    """One question and who asks it: a clock that is moved, a breaker, a log."""

    folder: Path
    hands: Hands
    connector: Connector
    rules: Rules = PATIENT
    patience: Patience = PATIENCE
    asking: Asking | None = None

    def ask(self) -> Told:
        hands, log = self.hands, AttemptLog(LocalStore(self.folder))
        asking = self.asking or Asking(
            patience=self.patience, log=log, clock=hands.clock, sleep=hands.sleep, ticks=hands.ticks
        )
        question = self.connector.questions(window(DAY), DAY)[0]
        turning = breaker(self.folder, hands, self.connector.name, self.rules)
        with turning.turn() as turn, asking.connection() as http:
            assert turn.held() is None
            return asking.asked(http, self.connector, question, turn, day=DAY)

    @property
    def outcomes(self) -> list[str]:
        found: list[str] = AttemptLog(LocalStore(self.folder)).read([DAY])["outcome"].to_list()
        return found

    @property
    def state(self) -> str:
        return breaker(self.folder, self.hands, self.connector.name, self.rules).recorded()[0].breaker


def test_a_good_answer_is_asked_once_with_a_user_agent_and_comes_as_it_was_sent(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    told = one.ask()
    assert told.verdict is None
    assert told.reply is not None
    assert told.reply.body.startswith(b'{"articles": [{"url"')
    assert (one.outcomes, len(gdelt.asked)) == (["answered"], 1)
    assert gdelt.agents[0].startswith("timegpt-assets")
    assert 'query="NVIDIA"+sourcelang:english' in gdelt.asked[0]


FAULTS = {
    "429": (too_many(), "throttled", True),
    "429 and a wait": (too_many("5"), "throttled", True),
    "throttle text under 200": (too_many(status=200), "throttled", True),
    "503": (Fault(kind="status", status=503), "broken", True),
    "403": (Fault(kind="status", status=403, body="Forbidden"), "broken", True),
    "html": (Fault(kind="html"), "broken", True),
    "half a body": (Fault(kind="half"), "broken", True),
    "half a body as if it were all": (Fault(kind="torn"), "broken", True),
    "reset": (Fault(kind="reset"), "broken", True),
    "redirect": (Fault(kind="status", status=302, headers={"Location": "http://127.0.0.1:9/"}), "broken", True),
    "{}": (Fault(kind="no_match"), "empty", False),
    "no byte": (Fault(kind="empty"), "empty", False),
    "no articles": (Fault(kind="text", body='{"articles": []}'), "empty", False),
    "words": (Fault(kind="text", body="The specified phrase is too short."), "refused", False),
    "404": (Fault(kind="status", status=404), "refused", False),
}


@pytest.mark.parametrize(("fault", "outcome", "again"), FAULTS.values(), ids=FAULTS)
def test_every_fault_has_its_verdict_and_only_what_may_be_mended_is_asked_again(
    gdelt: GdeltServer, tmp_path: Path, fault: Fault, outcome: str, again: bool
) -> None:
    gdelt.faults += [fault] * 4
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    told = one.ask()
    assert told.verdict is not None
    assert told.verdict.doubt == outcome
    assert one.outcomes == [outcome] * (4 if again else 1)
    assert len(gdelt.asked) == len(one.outcomes)


def test_what_is_mended_meanwhile_is_answered(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.faults += [Fault(kind="reset"), too_many(), None]
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    assert one.ask().verdict is None
    assert one.outcomes == ["broken", "throttled", "answered"]
    assert len(one.hands.slept) == 2
    assert 1 <= one.hands.slept[0] <= 2 <= one.hands.slept[1] <= 3


def test_a_wait_that_is_asked_for_is_granted_up_to_the_cap_and_never_shortened(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    gdelt.faults += [too_many("20"), None]
    assert one.ask().verdict is None
    assert 20 <= one.hands.slept[0] <= 21


@pytest.mark.parametrize("said", ["31", "Mon, 01 Jul 2999 00:00:00 GMT"])
def test_who_asks_for_more_than_the_cap_is_not_asked_again_and_left_alone(
    gdelt: GdeltServer, tmp_path: Path, said: str
) -> None:
    gdelt.faults += [too_many(said)]
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    told = one.ask()
    assert told.verdict is not None
    assert (one.outcomes, one.state, one.hands.slept) == (["throttled"], OPEN, [])


def test_a_wait_may_be_a_date_by_the_server_s_own_clock(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.date = "Mon, 01 Jul 2019 12:00:00 GMT"
    gdelt.faults += [too_many("Mon, 01 Jul 2019 12:00:12 GMT"), None]
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    assert one.ask().verdict is None
    assert 12 <= one.hands.slept[0] <= 13


@pytest.mark.parametrize("said", ["soon", "-5", "nan", "inf", "Mon, 01 Jul 1999 00:00:00 GMT"])
def test_a_wait_that_is_none_is_passed_over(gdelt: GdeltServer, tmp_path: Path, said: str) -> None:
    gdelt.faults += [too_many(said), None]
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    assert one.ask().verdict is None
    assert 1 <= one.hands.slept[0] <= 2


def test_two_never_wait_alike(gdelt: GdeltServer, tmp_path: Path) -> None:
    waits = set()
    for number in range(3):
        gdelt.faults += [too_many(), None]
        one = Asker(tmp_path / str(number), Hands(), doc(gdelt.url))
        one.ask()
        waits.add(one.hands.slept[0])
    assert len(waits) == 3


def test_all_attempts_share_one_budget_of_time(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.faults += [too_many("25")] * 4
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    one.ask()
    assert len(one.outcomes) == 3  # after two waits of 25 s and more a third would pass the 60 s
    assert sum(one.hands.slept) <= 60


def test_the_breaker_ends_a_question_in_the_middle_and_a_probe_is_asked_once(
    gdelt: GdeltServer, tmp_path: Path
) -> None:
    one = Asker(tmp_path, Hands(), doc(gdelt.url), rules=DOC)
    gdelt.faults += [too_many(), too_many()]
    one.ask()
    assert (one.outcomes, one.state) == (["throttled"], OPEN)
    one.hands.pass_(1800)
    one.ask()
    assert (one.outcomes, one.state) == (["throttled"] * 2, OPEN)
    one.hands.pass_(1800)
    assert one.ask().verdict is None
    assert one.state == PROBING
    assert one.ask().verdict is None
    assert one.state == CLOSED


def test_failures_are_counted_across_questions(gdelt: GdeltServer, tmp_path: Path) -> None:
    one = Asker(tmp_path, Hands(), doc(gdelt.url), rules=FILES)
    gdelt.faults += [Fault(kind="html")] * 9
    one.ask()
    assert one.state == CLOSED
    one.ask()
    assert (len(one.outcomes), one.state) == (5, OPEN)


@pytest.mark.parametrize("kind", ["slow", "drip", "tarpit"])
def test_an_answer_that_takes_too_long_is_given_up_however_it_comes(
    gdelt: GdeltServer, tmp_path: Path, kind: str
) -> None:
    gdelt.faults += [Fault(kind=kind, seconds=0.4 if kind == "slow" else 0.05)]
    short = Patience(budget_s=60.0, max_attempts=1, retry_after_cap_s=30.0, timeout_s=0.2)
    log = AttemptLog(LocalStore(tmp_path))
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    one.asking = Asking(patience=short, log=log, clock=one.hands.clock)
    assert one.ask().reply is None
    assert one.outcomes == ["unreached"]
    latency = log.read([DAY])["latency_s"][0]
    assert 0.15 < latency < 0.4


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with GdeltServer() as gone:
        url = gone.url
    one = Asker(tmp_path, Hands(), doc(url))
    told = one.ask()
    assert told.reply is None
    assert one.outcomes == ["unreached"] * 4


def test_no_more_is_read_than_any_answer_has(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.faults += [Fault(kind="bomb")]
    one = Asker(tmp_path, Hands(), doc(gdelt.url), patience=replace(PATIENCE, max_attempts=1))
    told = one.ask()
    assert told.verdict is not None
    assert "unpacks to more than 64 MiB" in told.verdict.why
    assert told.reply is not None
    assert len(told.reply.body) == MAX_BYTES + 1


def test_a_body_without_an_end_is_left_where_any_answer_ends(
    gdelt: GdeltServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking_module, "MAX_BYTES", 1 << 20)
    gdelt.faults += [Fault(kind="flood")]
    one = Asker(tmp_path, Hands(), doc(gdelt.url), patience=replace(PATIENCE, max_attempts=1))
    told = one.ask()
    assert told.verdict is not None
    assert told.verdict.why == "the answer unpacks to more than 1 MiB"


def test_nobody_is_followed_elsewhere(gdelt: GdeltServer, tmp_path: Path) -> None:
    with GdeltServer() as elsewhere:
        gdelt.faults += [Fault(kind="status", status=301, headers={"Location": f"{elsewhere.url}/api"})] * 4
        told = Asker(tmp_path, Hands(), doc(gdelt.url)).ask()
        assert elsewhere.asked == []
    assert told.verdict is not None
    assert told.verdict.why.endswith("Set news.source.gdelt_doc.base_url to the final address.")


def test_a_torn_zip_is_asked_for_again(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.faults += [Fault(kind="torn"), None]
    one = Asker(tmp_path, Hands(), files(gdelt.url))
    assert one.ask().verdict is None
    assert one.outcomes == ["broken", "answered"]


@dataclass(frozen=True, kw_only=True)
class Keyed(GdeltDoc):
    """The search, asked with a key."""

    def secret(self) -> Mapping[str, str]:
        return {"api_key": KEY}

    def judged(self, question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Verdict | None:
        found = super().judged(question, status, headers, body)
        return found and Verdict(found.doubt, f"{found.why} (asked with {KEY})")


def test_the_key_is_sent_and_stands_nowhere(
    gdelt: GdeltServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connector = Keyed(base_url=gdelt.url, names=lambda day: {"NVDA": "NVIDIA"})
    gdelt.faults += [Fault(kind="echo"), Fault(kind="echo", status=400), None]
    one = Asker(tmp_path, Hands(), connector, patience=replace(PATIENCE, max_attempts=1))
    first, second, third = one.ask(), one.ask(), one.ask()
    assert gdelt.keyed == 3
    assert third.verdict is None
    assert first.verdict is not None
    assert "repeats the key" in first.verdict.why
    assert second.verdict is not None
    assert "repeats the key" in second.verdict.why
    said = caplog.text + repr((connector, first, second, third))
    said += "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert MARK not in said
    assert any("GET" in record.message for record in caplog.records), "httpx logs no address any more"


def test_a_verdict_that_repeats_the_key_is_told_without_it(gdelt: GdeltServer, tmp_path: Path) -> None:
    connector = Keyed(base_url=gdelt.url, names=lambda day: {"NVDA": "NVIDIA"})
    gdelt.faults += [Fault(kind="no_match")]
    told = Asker(tmp_path, Hands(), connector).ask()
    assert told.verdict is not None
    assert told.verdict.why.endswith("(asked with [key])")


@dataclass(frozen=True, kw_only=True)
class Keyless(GdeltDoc):
    """The search, whose key nobody set."""

    def secret(self) -> Mapping[str, str]:
        raise SecretMissing("SEARCH_KEY is not set")


def test_without_its_key_nothing_is_sent(gdelt: GdeltServer, tmp_path: Path) -> None:
    one = Asker(tmp_path, Hands(), Keyless(base_url=gdelt.url, names=lambda day: {"NVDA": "NVIDIA"}))
    with pytest.raises(SecretMissing):
        one.ask()
    assert (gdelt.asked, one.outcomes) == ([], [])


def test_every_attempt_is_on_record_with_what_it_came_to(gdelt: GdeltServer, tmp_path: Path) -> None:
    gdelt.faults += [too_many("7"), None]
    one = Asker(tmp_path, Hands(), doc(gdelt.url))
    one.ask()
    first, second = AttemptLog(LocalStore(tmp_path)).read([DAY]).rows(named=True)
    assert (first["attempt"], first["status"], first["why"], first["breaker"]) == (1, 429, THROTTLED, CLOSED)
    assert (second["attempt"], second["status"], second["why"]) == (2, 200, None)
    assert second["at"] - first["at"] >= timedelta(seconds=7)
    assert second["size"] > 0
    assert AttemptLog(LocalStore(tmp_path)).read([DAY + timedelta(days=1)]).is_empty()
