"""The watch over the rollout of bands: each finished UTC day is judged, and a fall of precision is recorded.

Belongs here: the sensor and its cursor. What fires is core/tsfm/precision.py, what is read and recorded
engine/tsfm_rollout.py.
"""

from collections.abc import Mapping

import dagster as dg
import orjson

from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.automation.rollout import seen
from timegpt_assets.core.rollout.phases import BY_ITSELF, RolloutRefused
from timegpt_assets.engine.tsfm_rollout import TsfmRollout
from timegpt_assets.runtime import Runtime

SENSOR = "judge_tsfm_rollout"


def judge_tsfm_rollout(runtime: Runtime) -> dg.SensorDefinition:
    """Return the sensor that judges each finished UTC day of a rollout under way, and takes it back to shadow.

    The cursor holds which days were judged, each with the state of its tables. It is written after the record, so what
    a killed daemon judged and did not record is judged again.
    """

    # on by itself, as its neighbour of the challengers: it makes and pays nothing
    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=runtime.settings.automation.look_every_sec,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Judges the breaches of the model's bands after each UTC day, and rolls them back.",
    )
    def judge_tsfm_rollout(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            judged, said = judge(TsfmRollout(runtime=runtime), seen(context.cursor), who=f"{BY_ITSELF}{SENSOR}")
        except (ObjectStoreError, OSError) as error:
            return dg.SkipReason(f"the tables cannot be read now: {error}")
        context.update_cursor(orjson.dumps(judged, option=orjson.OPT_SORT_KEYS).decode())
        return dg.SkipReason(said)

    return judge_tsfm_rollout


def judge(rollout: TsfmRollout, known: Mapping[str, str], *, who: str) -> tuple[dict[str, str], str]:
    """Return day -> state of the days judged by now, and what came of it in words.

    Of a rollout that is used every finished day of its phase whose state is not ``known``, oldest first.
    """
    standing, judged, count = rollout.standing(), dict[str, str](), 0
    if standing is None or not standing.traded:
        return judged, "no market has the model's band: nothing to judge."
    for day in rollout.in_phase(standing):
        state = rollout.state(day)
        if known.get(str(day)) != state:
            count += 1
            try:
                entry = rollout.judge(standing, day, who=who)
            except RolloutRefused as moved:  # by somebody else, since it was looked at
                return judged, str(moved)
            if entry:
                return {}, f"the bands of the model are taken back to shadow. {entry['why']}"
        judged[str(day)] = state
    return judged, f"{count} days judged. Precision holds, as far as it can be judged."
