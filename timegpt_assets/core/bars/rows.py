"""What becomes of each delivered row: on the grid, repeated, outside, impossible; and which rows a rule blames.

Belongs here: rows. Facts of a whole (day, symbol), verdicts and the grid are core/bars/session_grid.py.
"""

import json

import polars as pl

from timegpt_assets.core.bars.quality_rules import RULES, QualityPolicy
from timegpt_assets.core.bars.vendor_columns import NUMBERS, PRICES

KEY = ("day", "symbol")
MINUTE = pl.duration(minutes=1)
USABLE = ("session", "auction")
_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
_RECENT = 30
"""Minutes whose closes say how far a price moves in one of them."""


def placed(raw: pl.DataFrame, sessions: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the raw rows by (day, symbol, ts, row) with the session's times, ``minute`` and ``row_class``.

    row_class: session, auction (a cross), duplicate, conflict, outside, off_minute or broken; the grid is made of the
    first two. ``minute`` is where a row goes on the grid. A cross is a print in the minute before the open, or at the
    close, of a day without any earlier or later row: a feed of extended hours has ordinary trades there.
    """
    times = sessions.select("day", open_time="open", close_time="close")
    # row settles ties: of several rows of a minute the first delivered comes first, and stays.
    rows = _extended_marked(raw.join(times, on="day", how="left").sort(*KEY, "ts", "row"))
    may_cross = ~pl.col("is_extended")
    opens = pl.lit(policy.auction_open != "drop") & may_cross & (pl.col("ts") == pl.col("open_time") - MINUTE)
    closes = pl.lit(policy.auction_close != "drop") & may_cross & (pl.col("ts") == pl.col("close_time"))
    inside = (pl.col("ts") >= pl.col("open_time")) & (pl.col("ts") < pl.col("close_time"))
    rows = rows.with_columns(
        # Null, of a day without a session, is outside too.
        row_class=pl.when(~(inside | opens | closes).fill_null(False)).then(pl.lit("outside"))
        .when(pl.col("ts").dt.truncate("1m") != pl.col("ts")).then(pl.lit("off_minute"))
        .when(_impossible()).then(pl.lit("broken"))
        .when(~inside).then(pl.lit("auction"))
        .otherwise(pl.lit("session")),
        minute=pl.when(opens).then("open_time").when(closes).then(pl.col("close_time") - MINUTE).otherwise("ts"),
    )  # fmt: skip
    return _repeats_marked(rows.drop("is_extended"))


def _extended_marked(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with ``is_extended``: their day has a row before the opening cross or after the closing one."""
    beyond = (pl.col("ts") < pl.col("open_time") - MINUTE) | (pl.col("ts") > pl.col("close_time"))
    extended = rows.filter(beyond).select(KEY).unique().with_columns(is_extended=pl.lit(True))
    if extended.is_empty():  # the usual case: the feed is of the session alone
        return rows.with_columns(is_extended=pl.lit(False))
    marked = rows.join(extended, on=KEY, how="left", maintain_order="left")
    return marked.with_columns(pl.col("is_extended").fill_null(False))


def _impossible() -> pl.Expr:
    """Return whether a row cannot be: a price missing, not finite or not positive, OHLC out of order, volume < 0."""
    unusable = pl.any_horizontal(*(pl.col(n).is_null() | ~pl.col(n).is_finite() for n in NUMBERS)).fill_null(True)
    low, high = pl.min_horizontal("open", "close", "high"), pl.max_horizontal("open", "close", "low")
    out_of_order = (pl.col("low") > low) | (pl.col("high") < high) | (pl.col("low") <= 0) | (pl.col("volume") < 0)
    return unusable | out_of_order.fill_null(True)


def _repeats_marked(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows, usable ones after the first of their minute marked duplicate (identical) or conflict."""
    same_minute = pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in (*KEY, "ts", "row_class"))
    candidates = rows.filter(pl.col("row_class").is_in(USABLE))
    if not candidates.select(same_minute.any()).item():  # the usual case: nothing repeats, nothing to compare
        return rows
    place = [*KEY, "ts"]
    identical = pl.all_horizontal(pl.col(c) == pl.col(c).first().over(place) for c in NUMBERS)
    repeats = candidates.with_columns(
        repeat=pl.when(pl.col("row") != pl.col("row").first().over(place)).then(
            pl.when(identical).then(pl.lit("duplicate")).otherwise(pl.lit("conflict"))
        )
    ).select(*place, "row", "repeat")
    joined = rows.join(repeats, on=[*place, "row"], how="left", maintain_order="left")
    return joined.with_columns(row_class=pl.coalesce("repeat", "row_class")).drop("repeat")


def printed(rows: pl.DataFrame, policy: QualityPolicy, *, lone: pl.DataFrame) -> pl.DataFrame:
    """Return one bar per printed minute [day, symbol, ts, open, high, low, close, volume], the crosses joined.

    Where the policy holds wicks, a lone high or low is held to the rest of its minute; ``lone`` [day, symbol] have one.
    """
    usable = rows.filter(pl.col("row_class").is_in(USABLE))
    if policy.wicks == "hold" and lone.height:
        usable = _held(usable, policy, lone)
    crosses = [
        (pl.col("ts") < pl.col("open_time"), policy.auction_open),
        (pl.col("ts") >= pl.col("close_time"), policy.auction_close),
    ]
    counts = pl.all_horizontal(~(is_cross & pl.lit(chosen == "keep")) for is_cross, chosen in crosses)
    at_edge = (pl.col("minute") == pl.col("open_time")) | (pl.col("minute") == pl.col("close_time") - MINUTE)
    columns = [*KEY, "minute", *PRICES, "volume"]
    # Only the first and the last minute can hold two rows, a cross and a bar: no other is grouped.
    joined = (
        usable.filter(at_edge)
        .group_by(*KEY, "minute")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").filter(counts).sum(),
        )
    )
    return pl.concat([joined.select(columns), usable.filter(~at_edge).select(columns)]).rename({"minute": "ts"})


def move() -> pl.Expr:
    """Return the log return from one printed minute's close to the next, inside a key in time order."""
    return pl.col("close").log().diff()


def is_outlier(policy: QualityPolicy) -> pl.Expr:
    """Return whether a move lies beyond outlier_z robust standard deviations of the key's own.

    The median absolute deviation counts as one tick at least: a price that mostly stands still moves by ticks.
    """
    price = pl.col("close").median()
    tick = pl.when(price < 1).then(policy.tick_size / 100).otherwise(policy.tick_size)  # under a dollar: 0.0001
    # The median deviation, not the standard one: an outlier would widen what it is judged by.
    distance = (move() - move().median()).abs()
    spread = pl.max_horizontal(distance.median(), (tick / price).log1p())
    return distance > policy.outlier_z * _SIGMA * spread


def wicks(session: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the rows with a lone high or low: day, symbol, ts, row, and what is plain: ceiling, floor, opening.

    ``session`` are rows in order, each minute once. A price is lone when it lies beyond both its minute's close and
    the close before by max_wick in log price, and by ``wick_moves`` times the largest move from close to close of the
    last half hour, this minute's own included: gone at the end of its minute, with nothing near it that fast. Nothing
    after the minute is looked at. The session's first minute has no close before it and must lie ``wick_moves`` times
    max_wick beyond its own.
    """
    before = pl.when(pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in KEY)).then(pl.col("close").shift(1))
    known = session.with_columns(before=before).with_columns(
        top=pl.max_horizontal("close", "before"), bottom=pl.min_horizontal("close", "before")
    )
    reach = pl.max_horizontal((pl.col("high") / pl.col("top")).log(), (pl.col("bottom") / pl.col("low")).log())
    suspects = known.filter(reach > policy.max_wick).select(KEY).unique()  # few: only their days are looked at closely
    moved = (pl.col("close") / pl.col("before")).log().abs()
    widest = (
        pl.when(pl.col("before").is_null())
        .then(policy.max_wick)
        .otherwise(moved.rolling_max(_RECENT, min_samples=1).over(KEY))
    )
    far = pl.max_horizontal(policy.max_wick, policy.wick_moves * widest)
    near = known.join(suspects, on=KEY, how="semi", maintain_order="left").with_columns(far=far)
    return near.filter(reach > pl.col("far")).select(
        *KEY, "ts", "row", ceiling=pl.col("top") * pl.col("far").exp(),
        floor=pl.col("bottom") * (-pl.col("far")).exp(), opening=pl.coalesce("before", "close"),
    )  # fmt: skip


def _held(usable: pl.DataFrame, policy: QualityPolicy, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the usable rows, a lone high or low brought back to the furthest plain price of its minute."""
    session = usable.filter(pl.col("row_class") == "session")
    lone = wicks(session.join(keys, on=KEY, how="semi", maintain_order="left"), policy)
    rows = usable.join(lone, on=[*KEY, "ts", "row"], how="left", maintain_order="left")
    is_lone = ~pl.col("open").is_between(pl.col("floor"), pl.col("ceiling"))  # the bad print may be the first
    rows = rows.with_columns(open=pl.when(is_lone).then("opening").otherwise("open"))
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    return rows.with_columns(
        high=pl.when(pl.col("high") > pl.col("ceiling")).then(top).otherwise("high"),
        low=pl.when(pl.col("low") < pl.col("floor")).then(bottom).otherwise("low"),
    ).drop("ceiling", "floor", "opening")


def offenders(rows: pl.DataFrame, verdicts: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return [day, symbol, offending]: per rule broken the first rows to blame, as JSON, at most max_offenders each.

    ``verdicts`` [day, symbol, rules]; keys without a row to blame are absent.
    """
    broken = verdicts.select(*KEY, rule=pl.col("rules").str.split(",")).explode("rule")
    blames = {name: rule.offending for name, rule in RULES.items() if rule.offending is not None}
    blaming = broken.filter(pl.col("rule").is_in(list(blames)))
    suspects = _flagged(rows.join(blaming.select(KEY).unique(), on=KEY, how="semi"), policy)
    found = [
        suspects.join(blaming.filter(pl.col("rule") == name), on=KEY, how="inner")
        .filter(blames[name])
        .group_by(KEY, maintain_order=True)
        .head(policy.max_offenders)
        .select(*KEY, "rule", "row", "ts")
        for name in blaming["rule"].unique(maintain_order=True)
    ]
    listed: dict[tuple[object, object], list[dict[str, object]]] = {}
    for frame in found:
        for day, symbol, rule, row, ts in frame.iter_rows():
            entry = {"rule": rule, "row": row, "ts": f"{ts:%Y-%m-%dT%H:%M:%SZ}"}
            listed.setdefault((day, symbol), []).append(entry)
    entries = [(day, symbol, json.dumps(blamed)) for (day, symbol), blamed in listed.items()]
    schema = {"day": pl.Date, "symbol": pl.String, "offending": pl.String}
    return pl.DataFrame(entries, schema=schema, orient="row")


def _flagged(rows: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the rows with the flags that rules blame by, each judged among the printed rows of its key."""
    usable = pl.col("row_class").is_in(USABLE)
    session = rows.filter(pl.col("row_class") == "session")
    moves = session.select(
        *KEY,
        "ts",
        "row",
        is_outlier=is_outlier(policy).over(KEY),
        is_jump=(move().abs() > policy.max_minute_move).over(KEY),
    )
    lone = wicks(session, policy).select(*KEY, "ts", "row", is_wick=pl.lit(True))
    flagged = rows.join(moves, on=[*KEY, "ts", "row"], how="left", maintain_order="left")
    flagged = flagged.join(lone, on=[*KEY, "ts", "row"], how="left", maintain_order="left")
    return flagged.with_columns(
        pl.col("is_outlier", "is_jump", "is_wick").fill_null(False),
        is_unsorted=(pl.col("row").diff() < 0).over(KEY).fill_null(False),
        is_absurd=usable & (pl.col("volume") > policy.max_minute_volume),
        is_dear=usable & (pl.max_horizontal(PRICES) > policy.max_price),
        is_silent=usable & (pl.col("volume") == 0),
    )
