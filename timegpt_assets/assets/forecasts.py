"""Forecasts: when to ask, what was answered, and what became of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.call_errors import CallError
from timegpt_assets.adapters.forecaster import NOTES, ForecastResult, HostedForecaster
from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.models.ladder import Ladder
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets import logged
from timegpt_assets.assets.declare import declared, keep_days, note_rows, of_partitions, stored_in, with_own
from timegpt_assets.assets.models import PARTS, POLICY, ROW
from timegpt_assets.config import core_inputs
from timegpt_assets.core.forecasts import bulk, framing, quantiles
from timegpt_assets.core.forecasts import snapshots as schedule
from timegpt_assets.core.tables.columns import BLEND
from timegpt_assets.core.tables.forecasts import (
    ANSWERS,
    BASE_ANSWERS,
    LOCAL_ANSWERS,
    OUTCOMES,
    RAW_FORECASTS,
    SNAPSHOTS,
)
from timegpt_assets.core.tables.models import MODEL
from timegpt_assets.io_managers import AnswersIOManager
from timegpt_assets.partitions import REASK, GraphContext, by_day, day_window, days_of, of_month
from timegpt_assets.resources import ApiBudget


def snapshots(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the day's snapshot times."""

    @declared(
        SNAPSHOTS,
        group="forecasts",
        partitions=graph.grid.trading_day,
        settings=(
            "forecast.horizon_min",
            "forecast.max_snapshots_total",
            "forecast.skip_events",
            "forecast.snapshot_preset",
            "forecast.snapshot_presets.{preset}",
            "events.dates",
            "events.calendar_names",
        ),
    )
    def snapshots(context: dg.AssetExecutionContext, daily_files: dg.ResourceParam[DailyFiles]) -> pl.DataFrame:
        """When a forecast is asked today; times that are skipped or dropped are rows too, with the reason."""
        spec = core_inputs.snapshot_spec(graph.settings, daily_files.calendar)
        frame = schedule.snapshots(days_of(context.partition_keys), spec)
        asked = frame.group_by("day").agg(pl.col("asked").sum())
        note_rows(context, frame, {"asked": {str(day): n for day, n in asked.iter_rows()}})
        return frame

    return snapshots


ASKED = "/assets/forecasts/answers?view=partitions&partition={}"
"""The page of the UI that names a day's requests, and where their answers lie."""
FRAMED = (
    "forecast.horizon_min",
    "forecast.history_days",
    "forecast.quantiles",
    "forecast.levels",
    "forecast.target",
    "forecast.framing.min_history_samples",
    "forecast.framing.max_stale_min",
    "forecast.sigma_column",
    "universe.tickers",
)
"""What a frame holds and what is asked about it, of whomever."""


def framed_inputs(graph: GraphContext) -> dict[str, dg.AssetIn]:
    """Return what frames are made from: the history in the panel, and the times of the day."""
    history = graph.settings.forecast.history_days
    return {
        "panel": stored_in("features", day_window(-history), name="panel", missing="ok"),
        "snapshots": stored_in("forecasts", name="snapshots"),
    }


def answers(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what the hosted forecaster said: the paid step, partitioned by day alone."""
    make = framing.frames if graph.settings.forecast.history_mode == "single" else bulk.frames
    nothing = quantiles.no_answers(core_inputs.levels(graph.settings))

    @declared(
        ANSWERS,
        group="forecasts",
        partitions=graph.grid.trading_day,
        settings=(
            *FRAMED,
            "forecast.backend",
            "forecast.model",
            "forecast.trusted_hosts",
            "forecast.history_mode",
            "forecast.framing.provider_min_samples",
            "forecast.exogenous",
            "events.dates",
            "events.calendar_names",
        ),
        ins=framed_inputs(graph),
        # by day alone, since one request is about all symbols; the pool only shows people who waits for whom:
        # what keeps a call from being paid twice is the ledger
        pool="timegpt",
        io_manager_key="answers_io_manager",
    )
    def answers(
        context: dg.AssetExecutionContext,
        panel: Partitions,
        snapshots: pl.DataFrame,
        hosted_forecaster: dg.ResourceParam[HostedForecaster | None],
        daily_files: dg.ResourceParam[DailyFiles],
        api_budget: ApiBudget,
        answers_io_manager: dg.ResourceParam[AnswersIOManager],
    ) -> pl.DataFrame:
        """What the hosted forecaster answered, one request per snapshot for all symbols, never asked twice."""
        logged.backend(graph.settings.forecast, run=context.run.run_id)
        if hosted_forecaster is None:  # nobody is paid: those on this machine answer in base_answers
            note_rows(context, nothing)
            return nothing
        found: dict[str, ForecastResult] = {}
        known = with_own(context, panel, "features/panel")
        spec = core_inputs.hosted_frame_spec(graph.settings, daily_files.calendar)
        run_id, reask = context.run.run_id, context.run.tags.get(REASK) == "true"
        days = days_of(context.partition_keys)
        try:
            for day in days:
                frames = make(known, snapshots, spec, day=day)
                # day by day: a day is granted whole or not at all, and what stops it leaves the days before it done
                found[str(day)] = answered = hosted_forecaster.answers(frames, budget_run_id=run_id, reask=reask)
                logged.answered(answered, day=str(day), run=run_id, forecast=graph.settings.forecast)
        # Dagster stores nothing of a step that fails, and the days before this one are paid for
        except CallError as error:
            logged.refused(error, day=str(days[len(found)]), run=run_id)
            keep_days(context, answers_io_manager, _rows(nothing, found), {k: a.notes for k, a in found.items()})
            raise
        rows = _rows(nothing, found)
        notes: dict[str, dict[str, Any]] = {name: {k: a.notes[name] for k, a in found.items()} for name in NOTES}
        notes["requests"] = {k: _requests(answers_io_manager.places(a.rows)) for k, a in found.items()}
        if any(a.sent for a in found.values()):
            left = api_budget.left(run_id)
            notes["calls_left"] = {k: left for k, a in found.items() if a.sent}
        note_rows(context, rows, notes)
        return rows

    return answers


def _requests(places: Sequence[tuple[datetime, str, str]]) -> dg.MetadataValue:
    """Return the day's requests as a table the UI shows without a click, each with the file of what was answered."""
    records = [
        dg.TableRecord({"snapshot": f"{ts:%H:%M} UTC", "request": key, "answer": file}) for ts, key, file in places
    ]
    columns = [dg.TableColumn(name) for name in ("snapshot", "request", "answer")]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def base_answers(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what the forecasters on this machine said; a rung of the ladder by its month's model."""
    nothing = quantiles.no_answers(core_inputs.levels(graph.settings))
    rungs = [name for word, name in PARTS.items() if word in graph.settings.forecast.ladder]

    @declared(
        BASE_ANSWERS,
        group="forecasts",
        partitions=graph.grid.trading_day,
        settings=(
            *FRAMED,
            "forecast.backend",
            "forecast.challengers",
            "forecast.baseline",
            "forecast.climatology",
            "forecast.persistence",
            "forecast.size",
            "forecast.statsforecast",
            "forecast.zero",
            *((*ROW, "models.public_keys") if rungs else ()),
        ),
        # no month stands above a day where no rung is seated
        ins=framed_inputs(graph) | {name: of_its_month(name) for name in rungs},
    )
    def base_answers(
        context: dg.AssetExecutionContext,
        panel: Partitions,
        snapshots: pl.DataFrame,
        local_forecasters: dg.ResourceParam[LocalForecasters],
        ladder: dg.ResourceParam[Ladder],
        **models: pl.DataFrame,
    ) -> pl.DataFrame:
        """What every forecaster on this machine answered to the same snapshots, by itself and for nothing."""
        known, spec = with_own(context, panel, "features/panel"), core_inputs.frame_spec(graph.settings)
        learnt, found = pl.concat([MODEL.empty(), *models.values()]), dict[str, ForecastResult]()
        for day in days_of(context.partition_keys):
            seats = ladder.rungs(learnt, known, day=day) if models else ()
            found[str(day)] = local_forecasters.answers(framing.frames(known, snapshots, spec, day=day), *seats)
        rows = _rows(nothing, found)
        note_rows(context, rows, _told(found))
        return rows

    return base_answers


def of_its_month(name: str) -> dg.AssetIn:
    """Return the input of what a day reads of the models of its month."""
    return stored_in("models", of_month(), name=name, missing="ok")


def _told(found: Mapping[str, ForecastResult]) -> dict[str, dict[str, Any]]:
    """Return what stands beside each day: who was left out, and which artifacts of the ladder answered."""
    told = {"left_out": {day: dict(answered.left_out) for day, answered in found.items()}}
    return told | {"ladder": {day: dict(answered.ladder) for day, answered in found.items() if answered.ladder}}


def _rows(nothing: pl.DataFrame, found: Mapping[str, ForecastResult]) -> pl.DataFrame:
    return pl.concat([nothing, *(answered.rows for answered in found.values())], how="diagonal")


def local_answers(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of all that was said on this machine, what is blended of others' answers too."""
    blends = BLEND in graph.settings.forecast.ladder

    @declared(
        LOCAL_ANSWERS,
        group="forecasts",
        partitions=graph.grid.trading_day,
        settings=(*ROW, "models.public_keys") if blends else (),
        ins={"base_answers": stored_in("forecasts", name="base_answers")}
        | ({POLICY: of_its_month(POLICY)} if blends else {}),
    )
    def local_answers(
        context: dg.AssetExecutionContext,
        base_answers: pl.DataFrame,
        ladder: dg.ResourceParam[Ladder],
        **models: pl.DataFrame,
    ) -> pl.DataFrame:
        """What every forecaster on this machine answered by itself, and what was blended of that."""
        days = days_of(context.partition_keys) if models else ()
        found = {str(day): ladder.blended(base_answers, models[POLICY], day=day) for day in days}
        rows = _rows(base_answers, found)
        note_rows(context, rows, _told(found))
        return rows

    return local_answers


def raw_forecasts(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of quantile forecasts before calibration."""
    target = core_inputs.target(graph.settings)
    forecast = graph.settings.forecast
    # a copy of what stands beside it is made for nobody: where nothing is blended, a stored house stays as it is
    local = "local_answers" if BLEND in forecast.ladder else "base_answers"

    @declared(
        RAW_FORECASTS,
        group="forecasts",
        partitions=graph.grid.day_symbol,
        settings=("forecast.quantiles", "forecast.levels", "forecast.target", "forecast.horizon_min"),
        ins={
            # a day that nobody answered for money stands with those who answered for nothing
            "answers": stored_in("forecasts", by_day(), name="answers", missing="ok"),
            "local_answers": stored_in("forecasts", by_day(), name=local),
            "snapshots": stored_in("forecasts", by_day(), name="snapshots"),
        },
    )
    def raw_forecasts(
        context: dg.AssetExecutionContext,
        answers: Partitions,
        local_answers: pl.DataFrame,
        snapshots: pl.DataFrame,
    ) -> pl.DataFrame:
        """Quantiles of the return over the horizon, in log-return units, monotone, as everyone answered otherwise."""
        everyone = pl.concat([answers.frame, local_answers], how="diagonal")
        frame = quantiles.raw_forecasts(
            everyone, snapshots, target=target, quantiles=forecast.quantiles, levels=forecast.levels
        )
        frame = of_partitions(context, frame)
        logged.crossed(frame, run=context.run.run_id)
        without = {key: "its answers are not there" for key in context.partition_keys if key[:10] not in answers.facts}
        asked = {key: dg.MetadataValue.url(ASKED.format(key[:10])) for key in context.partition_keys}
        note_rows(context, frame, {"asked": asked, "without_the_hosted_forecaster": without})
        return frame

    return raw_forecasts


def outcomes(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of forecasts joined with what happened."""
    target = core_inputs.target(graph.settings)

    @declared(
        OUTCOMES,
        group="forecasts",
        partitions=graph.grid.trading_day,
        settings=("forecast.target", "forecast.horizon_min"),
        ins={
            "raw_forecasts": stored_in("forecasts", by_day(), name="raw_forecasts"),
            "labels": stored_in("features", by_day(), name="labels"),
        },
    )
    def outcomes(context: dg.AssetExecutionContext, raw_forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
        """Each forecast beside its label: what calibration learns from, on later days only."""
        frame = quantiles.outcomes(raw_forecasts, labels, target=target)
        note_rows(context, frame)
        return frame

    return outcomes
