"""A house that runs by itself for days: a daemon, a clock that is moved, and everybody it asks on this machine.

Belongs here: the settings, and looking: the clock is moved and everything that is due by then is done. Whom it asks is
unattended_world.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from email.message import Message
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from typer.testing import CliRunner

from timegpt_assets import resources, runtime
from timegpt_assets.adapters.alarms.channels import PASSWORD, TOKEN, URL
from timegpt_assets.automation.day import SCHEDULE, SENSOR
from timegpt_assets.cli.app import app
from timegpt_assets.cli.context import BATCH_SIZE, EVENT_BATCH
from timegpt_assets.core import calendar
from timegpt_assets_tests import live_house
from timegpt_assets_tests.adapters.buckets import closing
from timegpt_assets_tests.automation.daemon_here import DaemonHere, daemon_here, run_here
from timegpt_assets_tests.automation.moved_clock import move
from timegpt_assets_tests.engine.test_call_budget import FORECAST, modest
from timegpt_assets_tests.roads import TINY, undrawn
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.unattended_world import BARS, OURS, Servers, Vendor, servers

LOOK = timedelta(minutes=5)
MOST_LOOKS = 6
SENSORS = ("new_session", "resume_backfill", "revised_source")
NESTED = "__ASSET_JOB"
HOUSE = (
    *TINY,
    "universe.tickers=[AAPL, META]",
    "data.end_date=null",
    "data.source=gcs",
    f"data.bucket={BARS}",
    f"data.artifacts_root=gs://{OURS}/artifacts",
    "forecast.api_budget.per_run=4",
    "forecast.api_budget.per_day=6",
    "forecast.max_attempts=1",
    "news.sources=[fred, calendar]",
    "news.spacing_s.fred=0.0",
    "news.retry.max_attempts=1",
    "tsfm.cycle_min=1440",
    "alarms.channels=[webhook, mail, file]",
    "alarms.mail.host=127.0.0.1",
    "alarms.mail.user=watch",
    "alarms.mail.sender=house@example.org",
    "alarms.mail.recipients=[ops@example.org]",
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run of a job: which trigger asked for it, whether it ended well, and what it told of each session."""

    job: str
    by: str
    is_well: bool
    told: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look of the daemon came to: runs, notices of alarms (change, subject), requests that TimeGPT had."""

    at: datetime
    runs: Sequence[Ran]
    notices: Sequence[tuple[str, str]]
    requests: int


@dataclass(kw_only=True)
class Unattended:
    """The house, its daemon and its clock."""

    folder: Path
    servers: Servers
    vendor: Vendor
    first_day: date
    looks: list[Look] = field(default_factory=list)
    now: datetime = datetime(2025, 11, 1, tzinfo=UTC)
    _daemon: DaemonHere | None = None
    _power: ExitStack = field(default_factory=ExitStack)
    _known: set[str] = field(default_factory=set)

    @property
    def home(self) -> Path:
        """Return its DAGSTER_HOME."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """Return what everything of the house reads of the environment."""
        asked = self.servers
        settings = [
            *HOUSE,
            *(one for one in modest(asked.timegpt.url) if one.startswith("forecast") and "per_run" not in one),
            *asked.news.settings,
            *live_house.SMALL,
            *live_house.settings(asked.venue, asked.model),
            f"alarms.mail.port={asked.mail.port}",
            f"alarms.file={self.folder / 'alarms.jsonl'}",
            f"data.start_date={self.first_day}",
            f"data.dagster_home={self.home}",
            f"data.storage_root={self.folder / 'tables'}",
            f"forecast.cache_dir={self.folder / 'cache'}",
            f"forecast.api_budget.ledger_file={self.folder / 'ledger.sqlite'}",
        ]
        return {
            "TIMEGPT_ASSETS_SET": "\n".join(settings),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "DAGSTER_HOME": str(self.home),
            BATCH_SIZE: EVENT_BATCH,
            "MOVED_CLOCK": str(self.folder / "clock"),
            "STORAGE_EMULATOR_HOST": asked.cloud.url,
            "TIMEGPT_API_KEY": KEY,
            "FRED_API_KEY": KEY,
            URL: asked.webhook.url,
            TOKEN: KEY,
            PASSWORD: KEY,
            "SSL_CERT_FILE": str(self.folder / "mail.pem"),
        }

    def command(self, *words: str, exits: Sequence[int] = (0,)) -> str:
        """Run a command of a person, which may exit so, and return what it prints."""
        made = CliRunner().invoke(app, [*words])
        assert made.exit_code in exits, (words, made.output, made.exception)
        return made.stdout

    def told(self) -> list[tuple[str, str]]:
        """Return what went out of alarms (change, subject). Raises AssertionError where channels told differently."""
        servers = self.servers
        told = [(one["change"], one["subject"]) for one in servers.webhook.alarms]
        file = [json.loads(line) for line in (self.folder / "alarms.jsonl").read_text().splitlines()]
        assert [(one["change"], one["subject"]) for one in file] == told
        mailed = [line for mail in servers.mail.mails for line in _text(mail).splitlines()]
        assert mailed == [f"[{one['change']}] {one['subject']}: {one['said']}" for one in servers.webhook.alarms]
        assert {"AUTH", "MAIL"}.isdisjoint(servers.mail.in_the_clear)
        return told

    def move(self, now: datetime) -> None:
        """Move the clock."""
        self.now = now.astimezone(UTC)
        half = self.folder / "half"
        half.write_text(self.now.isoformat())
        half.replace(self.folder / "clock")

    def on(self) -> None:
        """Switch the machine on."""
        self._daemon = self._power.enter_context(daemon_here(self.home))

    def off(self) -> None:
        """Switch it off."""
        self._power.close()

    @property
    def daemon(self) -> DaemonHere:
        """Return the daemon of a machine that is on."""
        assert self._daemon is not None
        return self._daemon

    def at(self, day: date, hour: int, minute: int = 0) -> list[Look]:
        """Move the clock to that New York time, and look, every five minutes, until nothing happens any more."""
        found: list[Look] = []
        for number in range(MOST_LOOKS):
            found.append(self.look(moment(day, hour, minute) + number * LOOK))
            if not found[-1].runs and not found[-1].notices:
                return found
        return found

    def look(self, now: datetime) -> Look:
        """Move the clock and return what the daemon did of all that was due by then."""
        sent, told = self.servers.timegpt.counts[FORECAST], len(self.servers.webhook.alarms)
        self.move(now)
        self.daemon.look(self.now)
        instance = self.daemon.instance
        ran = [run for run in reversed(instance.get_runs()) if run.run_id not in self._known]
        runs = [_ran(instance, run) for run in ran if run.job_name != NESTED]
        self._known |= {run.run_id for run in ran}
        notices = [(one["change"], one["subject"]) for one in self.servers.webhook.alarms[told:]]
        requests = self.servers.timegpt.counts[FORECAST] - sent
        self.looks.append(look := Look(at=self.now, runs=runs, notices=notices, requests=requests))
        return look


def _text(mail: Message) -> str:
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode()


def moment(day: date, hour: int, minute: int = 0) -> datetime:
    """Return a New York time."""
    return datetime.combine(day, time_of_day(hour, minute), ZoneInfo(calendar.ZONE)).astimezone(UTC)


def _ran(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Ran:
    """Return what a run came to."""
    by = next((run.tags[tag] for tag in (SENSOR, SCHEDULE) if tag in run.tags), "somebody")
    told = _told(instance, run)
    return Ran(job=run.job_name, by=by, is_well=run.status == dg.DagsterRunStatus.SUCCESS, told=told)


def _told(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, str]:
    """Return what a run told of each session."""
    said: dict[str, str] = {}
    for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT).records:
        event = record.event_log_entry.get_dagster_event()
        if (found := event.step_output_data.metadata.get("sessions")) is not None:
            said |= {str(day): str(what) for day, what in cast(Mapping[str, str], found.value).items()}
    return said


@contextmanager
def unattended(folder: Path, first_day: date, begins: datetime, schedules: Sequence[str]) -> Iterator[Unattended]:
    """Yield the house of a grid with its machine on, and its sensors and these schedules switched on."""
    with servers(folder, begins) as asked, pytest.MonkeyPatch.context() as patched:
        house = Unattended(folder=folder, servers=asked, vendor=Vendor(cloud=asked.cloud), first_day=first_day)
        for name, value in house.environment.items():
            patched.setenv(name, value)
        house.move(begins)
        move(patched)
        undrawn(patched)
        with clients():
            house.command("budget", "--json")
            run_here(house.home)
            house.on()
            house.daemon.switch_on(SENSORS, schedules)
            yield house
            house.off()


@contextmanager
def clients() -> Iterator[None]:
    """Have this process's clients of Cloud Storage be those of the environment, and nobody's afterwards."""
    made = (runtime.cloud_client, resources.bucket_client)
    for client in made:
        client.cache_clear()
    with closing(runtime.cloud_client()), closing(resources.bucket_client()):
        yield
    for client in made:
        client.cache_clear()
