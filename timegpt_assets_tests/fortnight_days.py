"""What happens on each day of a simulated fortnight, and what whoever looks after the house would have seen of it.

Belongs here: the days, and the table of them. ``python -m timegpt_assets_tests.fortnight_days --renew`` writes it into
its page. The house is unattended.py.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.servers.timegpt import status
from timegpt_assets_tests.unattended import Look, Unattended, moment, unattended
from timegpt_assets_tests.unattended_world import TICKERS

FRI0, MON, TUE, WED, THU, FRI, SAT = (date(2025, 11, day) for day in (14, 17, 18, 19, 20, 21, 22))
MON2, TUE2, WED2, THU2, FRI2 = (date(2025, 11, day) for day in (24, 25, 26, 27, 28))
PAGE = PROJECT / "docs" / "explanation" / "fortnight.md"
BEGIN, END = "<!-- the {} week: generated -->", "<!-- until here -->"
LATE, REVISED = "META", "AAPL"


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day: what happens on it, and the looks of the daemon until it was over."""

    day: date
    happens: str
    looks: Sequence[Look]


def switched_on(house: Unattended) -> None:
    house.vendor.deliver(FRI0)
    house.at(FRI0, 16, 30)
    house.at(FRI0, 18, 30)


def early_for_the_vendor(house: Unattended) -> None:
    house.at(MON, 16, 5)
    house.vendor.deliver(MON)
    house.at(MON, 16, 30)
    house.at(MON, 18, 30)


def late_symbol(house: Unattended) -> None:
    house.vendor.deliver(TUE, [name for name in (*TICKERS, "SPY") if name != LATE])
    house.at(TUE, 16, 30)
    house.at(TUE, 18, 5)
    house.at(TUE, 18, 30)


def comes_next_morning(house: Unattended) -> None:
    house.vendor.deliver(TUE, [LATE])
    house.at(WED, 9, 5)
    house.vendor.deliver(WED)
    house.at(WED, 16, 30)
    house.at(WED, 18, 30)
    house.off()


def outage(house: Unattended) -> None:
    house.vendor.deliver(FRI)


def back_again(house: Unattended) -> None:
    house.on()
    house.at(SAT, 10)


def switched_on_a_week_later(house: Unattended) -> None:
    house.vendor.deliver(FRI)
    house.at(FRI, 16, 30)


def budget_used_up(house: Unattended) -> None:
    house.move(moment(MON2, 10))
    house.command("backfill", "--start", f"{TUE}", "--end", f"{THU}", "--json", exits=(0, 5))  # 5: a run may pay four
    house.vendor.deliver(MON2)
    house.at(MON2, 16, 30)
    house.at(MON2, 18, 30)
    house.at(MON2, 19, 5)


def server_down(house: Unattended) -> None:
    house.vendor.deliver(TUE2)
    house.servers.timegpt.faults.extend([status(503)] * 100)
    house.at(TUE2, 16, 30)
    house.at(TUE2, 17, 5)
    house.servers.timegpt.faults.clear()
    house.at(TUE2, 17, 40)
    house.at(TUE2, 18, 30)


def revised_month(house: Unattended) -> None:
    house.vendor.deliver(WED2)
    house.at(WED2, 16, 30)
    house.at(WED2, 18, 30)
    house.vendor.correct(REVISED, FRI, 1.01)
    house.at(WED2, 20, 0)


def holiday(house: Unattended) -> None:
    house.at(THU2, 18, 30)


def early_close(house: Unattended) -> None:
    house.vendor.deliver(FRI2)
    house.at(FRI2, 13, 30)
    house.at(FRI2, 18, 30)


Lives = Callable[[Unattended], None]
DAYS: Mapping[str, Sequence[tuple[date, str, Lives]]] = {
    "first": (
        (FRI0, "the house is switched on", switched_on),
        (MON, "the vendor delivers half an hour after the close", early_for_the_vendor),
        (TUE, f"the bars of {LATE} do not come", late_symbol),
        (WED, "they come in the morning; at night the machine goes off, for two days", comes_next_morning),
        (THU, "it is off", lambda _: None),
        (FRI, "it is off", outage),
        (SAT, "it is on again", back_again),
    ),
    "second": (
        (FRI, "the house is switched on", switched_on_a_week_later),
        (MON2, "somebody has spent the day's calls on earlier sessions", budget_used_up),
        (TUE2, "TimeGPT answers 503 from 16:00 to 17:30", server_down),
        (WED2, f"the vendor corrects {REVISED} of the week before", revised_month),
        (THU2, "Thanksgiving", holiday),
        (FRI2, "the session closes at 13:00", early_close),
    ),
}
"""Two weeks, each begun by a house of its own."""
GRIDS = {"first": date(2025, 11, 11), "second": TUE}
"""The first day of each week's grid: three sessions before the day on which its house is switched on."""
SCHEDULES = {"first": ("after_the_close", "every_tsfm_cycle"), "second": ("after_the_close",)}


def begun(folder: Path, week: str) -> AbstractContextManager[Unattended]:
    """Return the house of a week, before its first day."""
    return unattended(folder, GRIDS[week], moment(DAYS[week][0][0], 16, 30), SCHEDULES[week])


def lived(house: Unattended, week: str) -> list[Day]:
    """Let the house live through its week, and return its days."""
    found = []
    for day, happens, live in DAYS[week]:
        before = len(house.looks)
        live(house)
        found.append(Day(day=day, happens=happens, looks=house.looks[before:]))
    return found


def table(days: Sequence[Day]) -> list[str]:
    """Return the fortnight as a table in Markdown, a line a day."""
    head = ("day", "what happens", "asked for, runs", "requests", "alarms", "at the end of the day")
    return [_line(head), _line(["---"] * len(head)), *(_line(_row(day)) for day in days)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(day: Day) -> list[str]:
    runs = [run for look in day.looks for run in look.runs]
    counted = Counter(f"{run.by}{'' if run.is_well else ', failed'}" for run in runs)
    notices = [notice for look in day.looks for notice in look.notices]
    told: dict[str, str] = {}
    for run in runs:
        told |= run.told
    return [
        f"{day.day:%a %d %b}",
        day.happens,
        ", ".join(f"{name} {count}" for name, count in sorted(counted.items())),
        str(sum(look.requests for look in day.looks)),
        "; ".join(f"{change}: {subject}" for change, subject in notices),
        "; ".join(f"{session[5:]} {said}" for session, said in sorted(told.items())),
    ]


def shown(days: Sequence[Day]) -> list[str]:
    """Return what the page of the fortnight says of it."""
    runs = [run for day in days for look in day.looks for run in look.runs]
    failed = sum(not run.is_well for run in runs)
    return [*table(days), "", f"{len(runs)} runs in all, of which {failed} failed."]


def renew() -> None:
    """Live through both weeks, and write them into their page."""
    text = PAGE.read_text()
    for week in DAYS:
        with TemporaryDirectory() as folder, begun(Path(folder), week) as house:
            days = lived(house, week)
        before, _, rest = text.partition(BEGIN.format(week))
        text = before + "\n".join([BEGIN.format(week), "", *shown(days), "", END]) + rest.partition(END)[2]
    PAGE.write_text(text)


if __name__ == "__main__" and "--renew" in sys.argv:
    renew()
