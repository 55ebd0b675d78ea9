"""What did it forecast, and what happened: the fans of a session, coverage, and what a number was made from.

`marimo edit notebooks/what_happened.py`, or `marimo run` to look only; `-- --profile dev` for another profile.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="What did it forecast, and what happened?")

with app.setup:
    from datetime import date

    import marimo as mo
    import polars as pl

    import timegpt_assets as ta
    from timegpt_assets.core.explained import Explained
    from timegpt_assets.reports.pictures.coverage import coverage
    from timegpt_assets.reports.pictures.fan import fan
    from timegpt_assets.reports.pictures.intervals import histogram
    from timegpt_assets.reports.pictures.style import CONFIG, latest


@app.cell
def _():
    mo.md("""
    # What did it forecast, and what happened?

    Everything here is read from stored tables: nothing is asked, and nothing is written. Returns are log returns from
    the snapshot to its target, in basis points (bp).
    """)
    return


@app.function
def read(question):
    """Return what a question gives; what it cannot give is told in words, and no cell below runs."""
    try:
        return question()
    except Explained as error:
        mo.stop(True, mo.callout(mo.plain_text(str(error)), kind="warn"))


@app.cell
def _():
    house = read(lambda: ta.open(mo.cli_args().get("profile")))
    scored = read(lambda: house.day_scores().select("day", "symbol", "forecaster").unique().collect())
    mo.stop(scored.is_empty(), mo.callout("No forecast has an outcome yet.", kind="warn"))
    return house, scored


@app.cell
def _(house, scored):
    _there, _champion = sorted(scored["forecaster"].unique()), house.settings.forecast.champion
    whose = mo.ui.dropdown(_there, value=_champion if _champion in _there else _there[0], label="forecaster")
    _days = [str(day) for day in scored["day"].unique().sort()]
    session = mo.ui.dropdown(_days, value=_days[-1], label="session")
    _symbols = sorted(scored["symbol"].unique())
    symbols = mo.ui.multiselect(_symbols, value=_symbols[:4], label="symbols")
    mo.hstack([whose, session, symbols], justify="start")
    return session, symbols, whose


@app.cell
def _(house, session, symbols, whose):
    mo.stop(not symbols.value, mo.callout("Choose a symbol.", kind="warn"))
    _asked = {"start": session.value, "end": session.value, "symbols": symbols.value}
    forecasts = read(lambda: house.forecasts(**_asked, forecaster=whose.value).collect())
    happened = read(lambda: house.day_scores(**_asked, forecaster=whose.value).collect())
    bars = read(lambda: house.bars(**_asked).collect())
    fans = fan(forecasts, bars, day=date.fromisoformat(session.value)).configure(**CONFIG)
    fans
    return bars, fans, forecasts, happened


@app.cell
def _(forecasts, happened):
    _banded = happened["covered_80"].drop_nulls()
    said_of_session = (
        f"{forecasts.height} forecasts were made, and the outcomes of {happened.height} are known. {len(_banded)} of "
        f"these had an 80 % band, and {_banded.sum()} outcomes fell inside it. One session proves nothing either way."
    )
    _asked_at = pl.col("snapshot_ts").dt.convert_time_zone("America/New_York").dt.strftime("%H:%M").alias("New York")
    _bp = (pl.col("q10", "q50", "q90", "y") * 1e4).round(1)
    _shown = happened.sort("symbol", "snapshot_ts").select("symbol", _asked_at, _bp, "covered_80", "score_source")
    mo.vstack([mo.md(said_of_session), mo.ui.table(_shown, selection=None, label="returns in bp")])
    return (said_of_session,)


@app.cell
def _():
    mo.md("""
    ## How often was it right?

    A 50 % band should hold half of the outcomes: with fewer it promised too much, with more it was too wide. Intervals
    are drawn over whole sessions, because the forecasts of one session are not independent.
    """)
    return


@app.cell
def _(house, whose):
    diagnostics = latest(read(lambda: house.forecast_diagnostics(forecaster=whose.value).collect()))
    reliability = latest(read(lambda: house.pit_reliability(forecaster=whose.value).collect()))
    calibrated = diagnostics.filter(stage="calibrated").sort("symbol", "score_source")
    _names = {"all symbols": "*"} | {name: name for name in calibrated["symbol"].unique().sort() if name != "*"}
    part = mo.ui.dropdown(_names, value="all symbols", label="of")
    part
    return calibrated, diagnostics, part, reliability


@app.cell
def _(diagnostics, part, reliability):
    _drawn = coverage(diagnostics, symbol=part.value), histogram(reliability, symbol=part.value)
    pictures = [picture.configure(**CONFIG) for picture in _drawn]
    mo.vstack(pictures)
    return (pictures,)


@app.function
def held(row, level):
    """Return how much of the outcomes a band held, in words; nothing where no band was promised."""
    share, low, high = (row[f"coverage_{level}{end}"] for end in ("", "_day_low", "_day_high"))
    if share is None:
        return f"No {level} % band was promised ({row['score_source']}): too few outcomes to learn from."
    sure = "too few sessions for an interval" if low is None else f"95 % interval {low:.1%} to {high:.1%}"
    return f"{level} % bands held {share:.1%} of {row['n']:,} outcomes ({row['score_source']}; {sure})."


@app.cell
def _(calibrated):
    said_of_coverage = [held(row, level) for row in calibrated.filter(symbol="*").to_dicts() for level in (50, 80, 95)]
    _columns = ("symbol", "n", "^coverage_(50|80|95)(_day_low|_day_high)?$", "pit_deviation", "score_source")
    _shown = calibrated.select(_columns).with_columns(pl.selectors.float().round(3))
    mo.vstack([mo.md("\n\n".join(said_of_coverage)), mo.ui.table(_shown, selection=None)])
    return (said_of_coverage,)


@app.cell
def _():
    mo.md("""
    ## What was a number made from?

    The first forecast above, traced through the tables to its request and to the bars. The request's `id` names its
    bytes in the cache.
    """)
    return


@app.cell
def _(forecasts, house):
    trace = read(lambda: house.trace(forecasts[0]))
    mo.ui.table(trace, selection=None, page_size=30)
    return (trace,)


if __name__ == "__main__":
    app.run()
