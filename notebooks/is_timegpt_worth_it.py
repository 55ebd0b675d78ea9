"""Is TimeGPT worth it here: its errors, its book and its price beside those of forecasters that cost nothing.

`marimo edit notebooks/is_timegpt_worth_it.py`, or `marimo run` to look only; `-- --profile dev` for another profile.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Is TimeGPT worth it here?")

with app.setup:
    import marimo as mo
    import polars as pl

    import timegpt_assets as ta
    from timegpt_assets.core.explained import Explained
    from timegpt_assets.core.tables.columns import HOSTED
    from timegpt_assets.reports.pictures.comparison import losses
    from timegpt_assets.reports.pictures.equity import equity
    from timegpt_assets.reports.pictures.style import CONFIG, latest


@app.cell
def _():
    mo.md("""
    # Is TimeGPT worth it here?

    Forecasters are set side by side on their common forecasts alone: same symbol, same snapshot, same target. Three
    questions: does it err less, does its book earn more after costs, and what does that cost?
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
    comparison = latest(read(lambda: house.comparison().collect()))
    mo.stop(comparison.is_empty(), mo.callout("No two forecasters have a common forecast yet.", kind="warn"))
    return comparison, house


@app.cell
def _(comparison, house):
    _there = sorted(comparison["forecaster"].unique())
    judged = HOSTED if HOSTED in _there else house.settings.forecast.champion
    own = comparison.filter(forecaster=judged)
    _whole = f"Sessions up to {comparison['as_of'][0]}; everybody who answered: {', '.join(_there)}."
    cautions = []
    if judged != HOSTED:
        cautions.append(
            f"TimeGPT was never asked here: nothing can be said of it. Below, {judged} stands in its place."
        )
    elif "simulated" in set(own["score_source"]):
        cautions.append("Simulated answers came from a server that is not TimeGPT's: they say nothing of its quality.")
    if house.settings.data.source == "synthetic":
        cautions.append("These bars are made up (data.source=synthetic): nothing here holds for a real market.")
    mo.vstack([mo.md(_whole), *(mo.callout(_words, kind="warn") for _words in cautions)])
    return cautions, judged, own


@app.cell
def _():
    mo.md("""
    ## Does it err less?

    A ratio of pinball losses below 1 is better. Only an interval that leaves out 1 says so, and among several
    comparisons only a p that is adjusted for them (Holm's): without both, the difference may as well be luck.
    """)
    return


@app.function
def erred(row):
    """Return in words whether a forecaster erred less than another one, and how surely."""
    ratio, low, high = (row[f"rpinball{end}"] for end in ("", "_low", "_high"))
    against = f"against {row['against']} ({row['score_source']}, {row['n']:,} forecasts of {row['sessions']} sessions)"
    if ratio is None:
        return f"**Not told** {against}: no common forecast can be scored."
    if low is None:
        return f"**Not told** {against}: ratio {ratio:.3f}, too few sessions for an interval."
    p = row["rpinball_p_holm"]
    less = high < 1 and p is not None and p < 0.05
    verdict = "Erred less" if less else "Erred more" if low > 1 else "No difference that could be told from luck"
    adjusted = "" if p is None else ", p below 0.001" if p < 0.001 else f", p {p:.3f}"
    return f"**{verdict}** {against}: ratio {ratio:.3f}, 95 % interval {low:.3f} to {high:.3f}{adjusted}."


@app.cell
def _(own):
    pooled = own.filter(symbol="*").sort("against", "score_source", "data_regime")
    said_of_errors = [erred(row) for row in pooled.to_dicts()]
    mo.md("\n\n".join(said_of_errors))
    return pooled, said_of_errors


@app.cell
def _(comparison, judged):
    picture_of_losses = losses(comparison, champion=judged).configure(**CONFIG)
    picture_of_losses
    return (picture_of_losses,)


@app.cell
def _(own):
    _columns = ("symbol", "against", "n", "rpinball", "rpinball_low", "rpinball_high", "rpinball_p_holm")
    _by_symbol = own.filter(pl.col("symbol") != "*").sort("symbol", "against").select(_columns)
    mo.accordion(
        {"Symbol by symbol": mo.ui.table(_by_symbol.with_columns(pl.selectors.float().round(3)), selection=None)}
    )
    return


@app.cell
def _():
    mo.md("""
    ## Does its book earn more?

    Each forecaster trades a paper book of its own by the same rules and costs. Nothing here was sent to a market.
    """)
    return


@app.function
def earned(row):
    """Return in words whether a forecaster's book earned more than another one's, and how surely."""
    gap, low, high = (row[f"pnl_difference{end}"] for end in ("", "_low", "_high"))
    if gap is None:
        return f"**Not told** against {row['against']}: one of the two has no book."
    if low is None:
        return f"**Not told** against {row['against']}: {gap:+,.0f} USD, too few sessions for an interval."
    verdict = "Earned more" if low > 0 else "Earned less" if high < 0 else "No difference that could be told from luck"
    return f"**{verdict}** than {row['against']}'s book: {gap:+,.0f} USD, 95 % interval {low:+,.0f} to {high:+,.0f}."


@app.cell
def _(pooled):
    said_of_books = [earned(row) for row in pooled.to_dicts()]
    mo.md("\n\n".join(said_of_books))
    return (said_of_books,)


@app.cell
def _(house, judged, own):
    portfolio = read(lambda: house.portfolio().filter(pl.col("book") != "live").collect())
    _days = read(lambda: house.day_scores().select(pl.col("day").unique()).collect())["day"]
    _seats = [judged, *own["against"].unique().sort()]
    picture_of_books = equity(portfolio, days=_days, seats=_seats).configure(**CONFIG)
    picture_of_books
    return picture_of_books, portfolio


@app.cell
def _():
    mo.md("""
    ## What does it cost?
    """)
    return


@app.function
def priced(row):
    """Return in words what the forecasts compared cost, and what a basis point of loss saved cost."""
    if not row["requests"]:
        return f"{row['n']:,} forecasts, none of them paid for."
    if row["spent"] is None:
        return (
            f"{row['n']:,} forecasts took {row['requests']:,} paid requests. What one costs is not said: set "
            "forecast.api_budget.price_per_call and run `timegpt-assets compare --force` again."
        )
    won = (
        "nothing was won against"
        if row["spent_per_bp"] is None
        else f"USD {row['spent_per_bp']:,.2f} a basis point won on"
    )
    return (
        f"{row['n']:,} forecasts cost USD {row['spent']:,.2f}, USD {row['spent_per_thousand']:,.2f} a thousand: "
        f"{won} {row['against']}."
    )


@app.cell
def _(pooled):
    said_of_price = list(dict.fromkeys(priced(row) for row in pooled.to_dicts()))
    mo.md("\n\n".join(said_of_price))
    return (said_of_price,)


@app.cell
def _():
    mo.md("""
    ## So?

    Worth it is what errs less than every free forecaster, earns more after costs by more than its price, and goes on
    doing so on sessions that nobody has looked at. The gates ask exactly that: `timegpt-assets evaluate`.
    """)
    return


if __name__ == "__main__":
    app.run()
