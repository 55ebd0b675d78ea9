"""The forecasters on this machine, side by side: shipped ones and other packages', free, marked baseline.

Belongs here: asking each by itself, what becomes of one that fails, and what stands beside an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import polars as pl

from timegpt_assets.adapters.forecaster import ForecastResult, Parameters, left_out
from timegpt_assets.adapters.plug_ins import PlugIn
from timegpt_assets.config.seats import package
from timegpt_assets.core.forecasts import quantiles
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import BACKEND, Answered, Local, answered
from timegpt_assets.core.forecasts.local.evidence import Known, known
from timegpt_assets.core.forecasts.local.seats import LIBRARIES
from timegpt_assets.core.forecasts.local.verdicts import asked, judged
from timegpt_assets.core.schema import TIME

_KEY = ["snapshot_ts", "symbol", "forecaster"]


@dataclass(frozen=True, kw_only=True)
class LocalForecasters:
    """Everyone seated here answers by itself; nobody is asked elsewhere, so nothing is cached or paid.

    ``asked_at`` is the snapshot itself: the same inputs give the same bytes whenever they are computed.
    """

    seats: tuple[Local | PlugIn, ...]
    levels: tuple[int, ...]
    run_source: str

    def answers(self, frames: Sequence[Frame]) -> ForecastResult:
        """Return BASE_ANSWERS rows of one day's frames, every forecaster's.

        ``left_out`` says of a forecaster alone why nothing of what it said can be used, and beside a symbol's name why
        that symbol has no answer of it. Whoever fails fails alone.
        """
        seen, asking = known(frames), asked(frames)
        rows, parameters, silent = [], dict[str, Parameters](), left_out(frames)
        for seat in self.seats:
            try:
                own, said = self._said(seat, frames, seen)
                found = judged(said, asking, levels=self.levels)
            except (Exception, SystemExit, pl.exceptions.PanicException) as failure:  # noqa: BLE001 - it may be anybody's code
                silent[seat.word] = f"absent: {type(failure).__name__}: {failure}"
                continue
            parameters[seat.word] = own
            rows.append(found.rows.with_columns(forecaster=pl.lit(seat.word)))
            silent |= {f"{seat.word} {symbol}": why for symbol, why in found.refused.select("symbol", "reason").rows()}
        moments = [moment for frame in frames for moment in self._moments(frame, parameters)]
        if not rows or not moments:
            return ForecastResult(rows=quantiles.no_answers(self.levels), left_out=silent)
        everyone = pl.concat(rows).join(pl.concat(moments), on=_KEY)
        return ForecastResult(rows=self._marked(everyone), left_out=silent)

    def _said(
        self, seat: Local | PlugIn, frames: Sequence[Frame], seen: Sequence[Known]
    ) -> tuple[Parameters, Answered]:
        if isinstance(seat, PlugIn):
            return seat.answered(frames, self.levels)
        library = {"package": package(seat.word)} if seat.word in LIBRARIES else {}
        return asdict(seat) | library, answered(seen, seat, levels=self.levels)

    def _moments(self, frame: Frame, parameters: Mapping[str, Parameters]) -> list[pl.DataFrame]:
        """Return what stands beside each symbol's answer: day, request hash, sigma and scale at the snapshot."""
        symbols = frame.history["symbol"].unique().sort().to_list()
        return [
            frame.sigma.with_columns(
                day=pl.lit(frame.day, dtype=pl.Date),
                snapshot_ts=pl.lit(frame.snapshot_ts, dtype=TIME),
                forecaster=pl.lit(word),
                request_hash=pl.lit(
                    quantiles.fingerprint(body, symbols=symbols, model=word, host="local", endpoint=BACKEND)
                ),
            )
            for word, body in quantiles.local_requests(frame, parameters, levels=self.levels).items()
        ]

    def _marked(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(
            asked_at=pl.col("snapshot_ts"),
            backend=pl.lit(BACKEND),
            model=pl.col("forecaster"),
            score_source=pl.lit(BACKEND),
            run_source=pl.lit(self.run_source),
            data_regime=pl.lit("maintenance_replay"),
            stale_input=pl.lit(False),
            host=pl.lit(None, dtype=pl.String),
        )
