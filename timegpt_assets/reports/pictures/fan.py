"""The forecast fans of one day against what happened: one symbol, or up to eight side by side."""

from collections.abc import Collection
from datetime import date

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import BANDS
from timegpt_assets.reports.pictures.style import (
    BLUE,
    HEIGHT,
    INK,
    MUTED,
    VERMILION,
    WIDTH,
    Picture,
    nothing,
    panels,
    sources,
    titled,
    wall_clock,
)

MOST_PANELS = 8
SHADES = {95: "#d3e5f2", 80: "#93c3e1", 50: "#4593c4"}
OUTCOMES = {"inside": INK, "outside": VERMILION}
TRADE = "#b8860b"
MARKERS = {"long entry": "triangle-up", "short entry": "triangle-down", "exit": "square"}


def fan(
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    trades: pl.DataFrame | None = None,
    *,
    day: date,
    symbols: Collection[str] | None = None,
) -> Picture:
    """Return the day's fans over the price path: cumulated return from the first price, bp, over New York time.

    ``forecasts`` are rows of raw_forecasts or forecasts, ``bars`` of bars, ``trades`` of trades. Each wedge opens at
    the clock price of its snapshot and ends at its target with the 95, 80 and 50 % bands and the median; the point is
    the realised return, vermilion outside the 80 % band. ``symbols`` defaults to all, the first eight are drawn.
    """
    path = _path(bars.filter(pl.col("day") == day))
    fans = _fans(forecasts.filter(pl.col("day") == day), path)
    wanted = sorted(set(fans["symbol"]) if symbols is None else set(symbols) & set(fans["symbol"]))
    drawn = wanted[:MOST_PANELS]
    if not drawn:
        return nothing(f"{day}: forecasts against what happened")
    fans, path = (frame.filter(pl.col("symbol").is_in(drawn)) for frame in (fans, path))
    marks = _marks(trades.filter(pl.col("day") == day), path) if trades is not None else None
    charts = [_panel(symbol, fans, path, marks, alone=len(drawn) == 1) for symbol in drawn]
    return panels(charts, _title(day, wanted, fans), columns=2)


def _path(bars: pl.DataFrame) -> pl.DataFrame:
    """Return [symbol, known_at, base, bp]: the clock price from P(open) on, in bp of the session's first price."""
    # a close is known when its minute is over: drawn at the stamp, the path would run a minute ahead of the fans
    closes = bars.select("symbol", known_at=pl.col("ts") + pl.duration(minutes=1), price="close")
    first = bars.filter(pl.col("ts") == pl.col("ts").min().over("symbol")).select("symbol", known_at="ts", price="open")
    prices = pl.concat([first, closes]).drop_nulls().sort("symbol", "known_at")
    based = prices.with_columns(base=pl.col("price").first().over("symbol"))
    return based.select("symbol", "known_at", "base", bp=_bp(pl.col("price")))


def _bp(price: pl.Expr) -> pl.Expr:
    return 1e4 * (price / pl.col("base")).log()


def _fans(forecasts: pl.DataFrame, path: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts with ``anchor`` and ``realised`` in bp, and whether the 80 % band holds the outcome."""
    at_snapshot = path.select("symbol", snapshot_ts="known_at", anchor="bp")
    at_target = path.select("symbol", target_ts="known_at", realised="bp")
    joined = forecasts.join(at_snapshot, on=["symbol", "snapshot_ts"]).join(
        at_target, on=["symbol", "target_ts"], how="left"
    )
    y = (pl.col("realised") - pl.col("anchor")) / 1e4
    low, high = BANDS[80]
    inside = pl.when(y.is_between(low, high)).then(pl.lit("inside")).otherwise(pl.lit("outside"))
    known = y.is_not_null() & pl.col(low).is_not_null() & pl.col(high).is_not_null()
    return joined.with_columns(outcome=pl.when(known).then(inside)).sort("symbol", "snapshot_ts")


def _wedges(fans: pl.DataFrame) -> pl.DataFrame:
    """Return two rows per snapshot and band, widest band first: shut at the snapshot, open at the target."""
    rows = []
    for level in SHADES:
        ends = {"lo": pl.col(BANDS[level][0]), "hi": pl.col(BANDS[level][1])}
        known = fans.drop_nulls(list(BANDS[level]))
        shared = {"snapshot": wall_clock("snapshot_ts"), "band": pl.lit(f"{level} %")}
        # shut at the snapshot, since only the target is forecast: between the two the wedge is a guide for the eye
        rows.append(known.select(**shared, at=wall_clock("snapshot_ts"), lo="anchor", hi="anchor"))
        at_target = {side: pl.col("anchor") + 1e4 * q for side, q in ends.items()}
        rows.append(known.select(**shared, at=wall_clock("target_ts"), **at_target))
    return pl.concat(rows).sort("band", "snapshot", "at", descending=[True, False, False])


def _medians(fans: pl.DataFrame) -> pl.DataFrame:
    known = fans.drop_nulls("q50")
    starts = known.select(snapshot=wall_clock("snapshot_ts"), at=wall_clock("snapshot_ts"), bp="anchor")
    ends = known.select("snapshot_ts", at=wall_clock("target_ts"), bp=pl.col("anchor") + 1e4 * pl.col("q50"))
    ends = ends.select(snapshot=wall_clock("snapshot_ts"), at="at", bp="bp")
    return pl.concat([starts, ends]).sort("snapshot", "at")


def _marks(trades: pl.DataFrame, path: pl.DataFrame) -> pl.DataFrame:
    """Return [symbol, at, bp, mark]: entries and exits of the trades that were filled."""
    base = path.group_by("symbol").agg(pl.col("base").first())
    filled = trades.filter(pl.col("quantity") != 0).join(base, on="symbol")
    way = pl.when(pl.col("side") > 0).then(pl.lit("long entry")).otherwise(pl.lit("short entry"))
    entries = filled.select("symbol", at=wall_clock("entry_ts"), bp=_bp(pl.col("entry_price")), mark=way)
    exits = filled.select("symbol", at=wall_clock("exit_ts"), bp=_bp(pl.col("exit_price")), mark=pl.lit("exit"))
    return pl.concat([entries, exits]).drop_nulls().sort("symbol", "at", "mark")


def _panel(symbol: str, fans: pl.DataFrame, path: pl.DataFrame, marks: pl.DataFrame | None, *, alone: bool) -> Picture:
    own, ours = (frame.filter(pl.col("symbol") == symbol) for frame in (path, fans))
    x, y = _axes(own, alone=alone)
    size = 42 if alone else 26
    layers = [_bands(_wedges(ours), x), _line(own, x, y), _median(_medians(ours), x, y)]
    if marks is not None and marks.height:
        layers.append(_trade_marks(marks.filter(pl.col("symbol") == symbol), x, y, size=1.7 * size))
    # last, on top of everything: the outcome is what a fan is looked at for
    layers.append(_points(ours, x, y, size=size))
    width, height = (WIDTH, HEIGHT) if alone else (WIDTH // 2, 90)
    title = alt.Title(f"{symbol}: {_counted(ours)}", fontSize=12, offset=4, frame="group")
    return alt.layer(*layers).properties(title=title, width=width, height=height)


def _axes(path: pl.DataFrame, *, alone: bool) -> tuple[alt.X, alt.Y]:
    """Return the axes, ticks at full hours: as milliseconds, for Vega has no hours on a ``utc`` scale."""
    times = path.select(at=wall_clock("known_at").dt.truncate("1h" if alone else "2h").dt.timestamp("ms"))
    hours = times["at"].unique().sort().to_list()[1:]
    x = alt.X("at:T", title="New York time" if alone else None)
    y = alt.Y("bp:Q", title="return since the open, bp" if alone else "bp")
    return (
        x.scale(type="utc", nice=False).axis(format="%H:%M", values=hours, labelFlush=False),
        y.scale(zero=False, nice=True).axis(tickCount=6 if alone else 3, minExtent=34),
    )


def _line(path: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    prices = alt.Chart(path.select("bp", at=wall_clock("known_at")))
    chart: alt.Chart = prices.mark_line(color=MUTED, strokeWidth=1, strokeJoin="round", opacity=0.75).encode(x=x, y=y)
    return chart


def _bands(wedges: pl.DataFrame, x: alt.X) -> alt.Chart:
    names = [f"{level} %" for level in sorted(SHADES)]
    shade = alt.Fill("band:N", title="band", sort=names).scale(domain=names, range=[SHADES[n] for n in sorted(SHADES)])
    encoded = alt.Chart(wedges).mark_area(opacity=1, interpolate="linear").encode(x=x, y="lo:Q", y2="hi:Q", fill=shade)
    chart: alt.Chart = encoded.encode(detail="snapshot:T")
    return chart


def _median(medians: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    chart: alt.Chart = alt.Chart(medians).mark_line(color=BLUE, strokeWidth=1.5).encode(x=x, y=y, detail="snapshot:T")
    return chart


def _points(fans: pl.DataFrame, x: alt.X, y: alt.Y, *, size: float) -> alt.Chart:
    known = fans.drop_nulls("outcome").select("outcome", at=wall_clock("target_ts"), bp="realised")
    colour = alt.Color("outcome:N", title="outcome and 80 % band")
    colour = colour.scale(domain=list(OUTCOMES), range=list(OUTCOMES.values()))
    points = alt.Chart(known).mark_point(filled=True, size=size, opacity=1, stroke="white", strokeWidth=1)
    chart: alt.Chart = points.encode(x=x, y=y, color=colour)
    return chart


def _trade_marks(marks: pl.DataFrame, x: alt.X, y: alt.Y, *, size: float) -> alt.Chart:
    """Return hollow marks: an exit at its forecast's target must not hide the outcome."""
    shape = alt.Shape("mark:N", title="trade").scale(domain=list(MARKERS), range=list(MARKERS.values()))
    drawn = alt.Chart(marks).mark_point(size=size, color=TRADE, filled=False, opacity=1, strokeWidth=1.8)
    chart: alt.Chart = drawn.encode(x=x, y=y, shape=shape)
    return chart


def _counted(fans: pl.DataFrame) -> str:
    known = fans.drop_nulls("outcome")
    return f"{(known['outcome'] == 'inside').sum()} of {known.height}"


def _title(day: date, wanted: list[str], fans: pl.DataFrame) -> alt.Title:
    drawn = fans["symbol"].unique(maintain_order=True).to_list()
    who = drawn[0] if len(drawn) == 1 else f"{len(drawn)} symbols"
    left_out = f"; {len(wanted) - len(drawn)} further symbols not drawn" if len(wanted) > len(drawn) else ""
    methods = ", ".join(fans["calibration"].unique().sort())
    subtitle = f"line: price path; wedge: snapshot to target; calibration: {methods}; {sources(fans)}{left_out}"
    return titled(f"{who} on {day}: {_counted(fans)} outcomes inside the 80 % band", subtitle)
