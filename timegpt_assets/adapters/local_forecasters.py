"""The forecasters on this machine, side by side: shipped ones and other packages', free, marked baseline.

Belongs here: asking each by itself, what becomes of one that fails, and what stands beside an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import polars as pl

from timegpt_assets.adapters.forecaster import ForecastResult, LeftOut, Marks, Parameters, Said, left_out
from timegpt_assets.adapters.models.ladder import Rung
from timegpt_assets.adapters.models.registry import ArtifactRefused
from timegpt_assets.adapters.plug_ins import PlugIn
from timegpt_assets.config.seats import package
from timegpt_assets.core.forecasts import quantiles
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import BACKEND, Local, answered
from timegpt_assets.core.forecasts.local.evidence import Known, known
from timegpt_assets.core.forecasts.local.seats import LIBRARIES
from timegpt_assets.core.forecasts.local.verdicts import asked, judged
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.columns import FALLBACK

_KEY = ["snapshot_ts", "symbol", "forecaster"]


@dataclass(frozen=True, kw_only=True)
class LocalForecasters:
    """Everyone seated here answers by itself; nobody is asked elsewhere, so nothing is cached or paid.

    ``asked_at`` is the snapshot itself: the same inputs give the same bytes whenever they are computed.
    """

    seats: tuple[Local | PlugIn, ...]
    levels: tuple[int, ...]
    run_source: str
    control: Local
    """Stands in where an artifact of the ladder is refused, seated or not."""

    def answers(self, frames: Sequence[Frame], *rungs: Rung) -> ForecastResult:
        """Return BASE_ANSWERS rows of one day's frames, every forecaster's; ``rungs`` are the ladder's on that day.

        ``left_out`` says of a forecaster alone why nothing of what it said can be used, and beside a symbol's name why
        that symbol has no answer of it. Whoever fails fails alone.
        """
        seen, asking = known(frames), asked(frames)
        rows, heard, silent = [], dict[str, Said](), left_out(frames)
        for seat in (*self.seats, *rungs):
            try:
                said = self._said(seat, frames, seen)
                found = judged(said.answered, asking, levels=self.levels)
            except LeftOut as silence:
                silent[seat.word] = str(silence)
                continue
            except (Exception, SystemExit, pl.exceptions.PanicException) as failure:  # noqa: BLE001 - it may be anybody's code
                silent[seat.word] = f"absent: {type(failure).__name__}: {failure}"
                continue
            heard[seat.word] = said
            rows.append(found.rows.with_columns(forecaster=pl.lit(seat.word), **_literals(said.marks)))
            silent |= {f"{seat.word} {symbol}": why for symbol, why in found.refused.select("symbol", "reason").rows()}
        moments = [moment for frame in frames for moment in self._moments(frame, heard)]
        notes = {word: said.note for word, said in heard.items() if said.note}
        if not rows or not moments:
            return ForecastResult(rows=quantiles.no_answers(self.levels), left_out=silent, ladder=notes)
        everyone = pl.concat(rows).join(pl.concat(moments), on=_KEY)
        return ForecastResult(rows=self._marked(everyone), left_out=silent, ladder=notes)

    def _said(self, seat: Local | PlugIn | Rung, frames: Sequence[Frame], seen: Sequence[Known]) -> Said:
        if isinstance(seat, Rung):
            try:
                return seat.answered(frames, self.levels)
            except ArtifactRefused as refusal:
                return self._stood_in(seen, refusal)
        marks = Marks(model=seat.word)
        if isinstance(seat, PlugIn):
            parameters, rows = seat.answered(frames, self.levels)
            return Said(parameters=parameters, answered=rows, marks=marks)
        library = {"package": package(seat.word)} if seat.word in LIBRARIES else {}
        return Said(parameters=asdict(seat) | library, answered=answered(seen, seat, levels=self.levels), marks=marks)

    def _stood_in(self, seen: Sequence[Known], refusal: ArtifactRefused) -> Said:
        """Return what the control arm says in the place of a rung whose artifact is not believed."""
        return Said(
            parameters=asdict(self.control),
            answered=answered(seen, self.control, levels=self.levels),
            marks=Marks(model=self.control.word, score_source=FALLBACK),
            note=f"{FALLBACK}: {refusal}",
        )

    def _moments(self, frame: Frame, heard: Mapping[str, Said]) -> list[pl.DataFrame]:
        """Return what stands beside each symbol's answer: day, request hash, sigma and scale at the snapshot."""
        symbols = frame.history["symbol"].unique().sort().to_list()
        parameters = {word: _shaped_by(said, frame) for word, said in heard.items()}
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
            run_source=pl.lit(self.run_source),
            stale_input=pl.lit(False),
            host=pl.lit(None, dtype=pl.String),
        )


def _literals(marks: Marks) -> dict[str, pl.Expr]:
    return {name: pl.lit(value) for name, value in asdict(marks).items()}


def _shaped_by(said: Said, frame: Frame) -> Parameters:
    """Return what shaped a seat's answers to a frame, with what it saw beside it."""
    shown = said.shown.get(frame.snapshot_ts)
    return {**said.parameters, "shown": shown} if shown else said.parameters
