"""The forecasters on this machine, side by side: honest arithmetic on earlier days, free, marked baseline."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import polars as pl

from timegpt_assets.adapters.forecaster import ForecastResult, left_out
from timegpt_assets.core.forecasts import quantiles
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import BACKEND, answered
from timegpt_assets.core.forecasts.local.evidence import known
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.schema import TIME


@dataclass(frozen=True, kw_only=True)
class LocalForecasters:
    """Answers by a ridge mean and rolling quantiles of its residuals; asks nobody, so nothing is cached or paid.

    ``asked_at`` is the snapshot itself: the same inputs give the same bytes whenever they are computed.
    """

    names: tuple[str, ...]
    levels: tuple[int, ...]
    spec: Ridge
    run_source: str

    def answers(self, frames: Sequence[Frame]) -> ForecastResult:
        """Return BASE_ANSWERS rows of one day's frames, every forecaster's."""
        frames = frames if Ridge.word in self.names else ()
        found = answered(known(frames), self.spec, levels=self.levels)
        moments = [self._moment(frame) for frame in frames]
        rows = found.rows.join(pl.concat(moments), on=["snapshot_ts", "symbol"]) if moments else found.rows
        short = dict(found.refused.select("symbol", "reason").iter_rows())
        return ForecastResult(rows=self._marked(rows), left_out=left_out(frames) | short)

    def _moment(self, frame: Frame) -> pl.DataFrame:
        """Return what stands beside each symbol's answer: day, request hash, sigma and scale at the snapshot."""
        body = quantiles.local_request(frame, model=Ridge.word, levels=self.levels, parameters=asdict(self.spec))
        symbols = frame.history["symbol"].unique().sort().to_list()
        key = quantiles.fingerprint(body, symbols=symbols, model=Ridge.word, host="local", endpoint=BACKEND)
        return frame.sigma.with_columns(
            day=pl.lit(frame.day, dtype=pl.Date),
            snapshot_ts=pl.lit(frame.snapshot_ts, dtype=TIME),
            request_hash=pl.lit(key),
        )

    def _marked(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(
            asked_at=pl.col("snapshot_ts"),
            forecaster=pl.lit(Ridge.word),
            backend=pl.lit(BACKEND),
            model=pl.lit(Ridge.word),
            score_source=pl.lit(BACKEND),
            run_source=pl.lit(self.run_source),
            data_regime=pl.lit("maintenance_replay"),
            stale_input=pl.lit(False),
            host=pl.lit(None, dtype=pl.String),
        )
