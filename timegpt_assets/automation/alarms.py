"""The watch over the house: what is the matter goes to the daemon's log and to every channel, once.

Belongs here: the sensor, its cursor, and who was told what. What is an alarm is engine/alarms.py, how a channel is told
adapters/alarms.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import dagster as dg
import orjson

from timegpt_assets.core.alarms import Alarm, ChannelFailed, Notice, heard, notices
from timegpt_assets.engine.alarms import Found, alarms
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Engine
from timegpt_assets.runtime import Runtime
from timegpt_assets.runtime_alarms import channels

SENSOR, LOG = "raise_alarms", "log"
Send = Callable[[Sequence[Notice]], None]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What each channel was told by now (subject -> words), why some could not be told last, each job's last run."""

    by_channel: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dead: Mapping[str, str] = field(default_factory=dict)
    last_runs: Mapping[str, str] = field(default_factory=dict)


def raise_alarms(runtime: Runtime) -> dg.SensorDefinition:
    """Return the sensor that tells what is the matter to whoever was not told it yet.

    The cursor holds what each channel was told. It is written after that, so a daemon killed in between tells it again.
    """

    # on by itself: it makes and pays nothing, and where no channel is listed it only writes to the daemon's log
    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=runtime.settings.automation.look_every_sec,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the log and alarms.channels what failed, waits, drifts, is silent or overdue: once.",
    )
    def raise_alarms(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if (repository := context.repository_def) is None:
            raise dg.DagsterInvariantViolationError(f"the sensor {SENSOR} was evaluated outside its repository.")
        planner = budget_planner(runtime)
        engine = Engine(runtime=runtime, repository=repository, instance=context.instance, budget_planner=planner)

        def logged(news: Sequence[Notice]) -> None:
            for notice in news:
                context.log.warning(notice.line)

        before = remembered(context.cursor)
        found = shown(alarms(engine, seen=before.last_runs), runtime.redacted)
        told = tell(senders(runtime) | {LOG: logged}, found, before)
        context.update_cursor(written(told))
        dead = f" Not told: {'; '.join(told.dead.values())}" if told.dead else ""
        return dg.SkipReason(f"{len(found.alarms)} alarms ring.{dead}")

    return raise_alarms


def shown(found: Found, redacted: Callable[[str], str]) -> Found:
    """Return what is the matter without secrets: it goes to others, in words of whatever failed."""
    return replace(
        found, alarms=[replace(one, name=redacted(one.name), said=redacted(one.said)) for one in found.alarms]
    )


def senders(runtime: Runtime) -> dict[str, Send]:
    """Return by channel what hands notices to it, as of now."""
    return {name: partial(channel.send, at=runtime.clock()) for name, channel in channels(runtime).items()}


def tell(listeners: Mapping[str, Send], found: Found, before: Told) -> Told:
    """Return what everybody was told after this: each of the listeners what is news to it.

    One that cannot be told stops nobody, is an alarm to the others, and is told everything when it is back.
    """
    by_channel, dead = dict[str, Mapping[str, str]](), {n: why for n, why in before.dead.items() if n in listeners}
    for name, send in listeners.items():
        silent = [Alarm(kind="channel", name=n, said=why) for n, why in dead.items() if n != name]
        own = before.by_channel.get(name, {})
        news = notices(own, [*found.alarms, *silent], unread=found.unread)
        by_channel[name] = own
        if not news:
            continue
        try:
            send(news)
        except ChannelFailed as error:
            dead[name] = str(error)
            continue
        by_channel[name] = heard(own, news)
        dead.pop(name, None)
    return Told(by_channel=by_channel, dead=dead, last_runs=found.last_runs)


def remembered(cursor: str | None) -> Told:
    """Return what a cursor says; of one that cannot be read everything is told again."""
    try:
        found = orjson.loads(cursor or "{}")
        return Told(
            by_channel={str(name): {**own} for name, own in found.get("told", {}).items()},
            dead={**found.get("dead", {})},
            last_runs={**found.get("last_runs", {})},
        )
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return Told()


def written(told: Told) -> str:
    """Return what the cursor keeps of it."""
    kept = {"told": told.by_channel, "dead": told.dead, "last_runs": told.last_runs}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()
