"""Raw bars -> facts, verdicts and the gapless session grid.

Belongs here: the facts counted per (day, symbol), the verdict they lead to, and the grid. What becomes of each row is
core/bars/rows.py, whether they lie at the right hour core/bars/session_hours.py, the rules are
core/bars/quality_rules.py, reading bars is adapters/, session times are core/calendar.py.
"""

import math
from collections.abc import Collection, Iterable
from datetime import date

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import rows as row_classes
from timegpt_assets.core.bars.quality_rules import OF_FILE, REAL_JUMP, QualityPolicy, judged
from timegpt_assets.core.bars.rows import KEY, MINUTE, USABLE
from timegpt_assets.core.bars.session_hours import shifts
from timegpt_assets.core.bars.vendor_columns import PRICES
from timegpt_assets.core.tables.bars import BARS, QUALITY

FAULTS = pl.Schema(
    {"day": pl.Date(), "symbol": pl.String(), "rule": pl.String(), "rows": pl.Int64(), "detail": pl.String()}
)
"""What is wrong with the file a (day, symbol) comes from: a rule, its offending rows (0: the file itself), words."""
CLOSES = pl.Schema({"day": pl.Date(), "symbol": pl.String(), "previous_close": pl.Float64()})


def quality(
    raw: pl.DataFrame,
    *,
    keys: pl.DataFrame,
    sessions: pl.DataFrame,
    policy: QualityPolicy,
    faults: pl.DataFrame | None = None,
    closes: pl.DataFrame | None = None,
    awaited: Collection[date] = (),
) -> pl.DataFrame:
    """Return exactly one QUALITY row per key: its facts, a verdict, the rules broken, and the reason in words.

    ``raw`` RAW_BARS, rows of other keys are not looked at; ``keys`` [day, symbol]; ``sessions`` [day, open, close];
    ``faults`` FAULTS of the files; ``closes`` CLOSES (without one, no split is seen). A key without any row in ``raw``
    is no_data, or late on a day whose bars are ``awaited``, unless its file is at fault. Every delivered row is counted
    once: rows_raw = rows_session + auction + duplicates + conflicts + outside + off_minute + broken_ohlc.
    Raises ValueError for a key whose day is no session.
    """
    wanted = _with_session(keys.select(KEY).unique(), sessions)
    rows = row_classes.placed(raw.join(wanted, on=KEY, how="semi"), sessions, policy)
    facts = _facts(wanted, rows, policy)
    facts = _with_gap(facts, pl.DataFrame(schema=CLOSES) if closes is None else closes, policy)
    facts = _with_faults(facts, pl.DataFrame(schema=FAULTS) if faults is None else faults)
    verdicts = judged(facts, policy, awaited=awaited)
    blamed = row_classes.offenders(rows, verdicts, policy)
    found = verdicts.join(blamed, on=KEY, how="left").with_columns(pl.col("offending").fill_null("[]"))
    return QUALITY.conformed(found.drop("open", "close").with_columns(content=pl.lit(None, pl.String)))


def _facts(wanted: pl.DataFrame, rows: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the wanted keys with everything that is counted from rows."""
    counted = rows.group_by(KEY).agg(pl.len().alias("rows_raw"), *_class_counts(policy))
    facts = (
        wanted.join(counted, on=KEY, how="left")
        .join(_gaps(rows), on=KEY, how="left")
        .join(_moves(rows, policy), on=KEY, how="left")
        # A key without a usable row has not printed for the whole session.
        .with_columns(pl.col("longest_fill").fill_null(pl.col("rows_expected")))
        .with_columns(pl.selectors.integer().fill_null(0).cast(pl.Int64))
        .with_columns(
            completeness=pl.col("rows_session") * (1.0 / pl.col("rows_expected")),  # see features/clock.py
            filled=pl.col("rows_expected") - pl.col("rows_session"),
            halted=pl.any_horizontal(pl.lit(False), *(_is(key) for key in sorted(policy.halts))).cast(pl.Int64),
        )
    )
    doubtful = facts.filter((pl.col("outside") > 0) | (pl.col("completeness") < policy.min_completeness))
    return facts.join(shifts(rows, doubtful), on=KEY, how="left").with_columns(pl.col("shifted_min").fill_null(0))


def _is(key: tuple[str, date]) -> pl.Expr:
    symbol, day = key
    return (pl.col("symbol") == symbol) & (pl.col("day") == day)


def _with_gap(facts: pl.DataFrame, closes: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the facts with previous_close, split (the ratio known), gap (log of the opening over that close, the split
    taken out), split_like: 1 where the gap is near a ratio, and overnight: 1 where it is too far and near none; neither
    where somebody said that it is real.
    """
    named = [(day, symbol, float(ratio)) for (symbol, day), ratio in policy.splits.items()]
    splits = pl.DataFrame(named, schema={"day": pl.Date, "symbol": pl.String, "split": pl.Float64}, orient="row")
    known = facts.join(closes, on=KEY, how="left").join(splits, on=KEY, how="left")
    # With the split named the opening must fit: a wrong ratio, or bars adjusted already, are found too.
    expected = pl.col("previous_close") / pl.col("split").fill_null(1.0)
    known = known.with_columns(gap=(pl.col("first_price") / expected).log()).drop("first_price")
    ratios = [side * math.log(ratio) for ratio in policy.split_ratios for side in (-1, 1)]
    near = pl.any_horizontal(pl.lit(False), *((pl.col("gap") - log).abs() <= policy.split_tolerance for log in ratios))
    is_real = (pl.col("split") == REAL_JUMP).fill_null(False)
    far = (pl.col("gap").abs() > policy.max_overnight_move).fill_null(False)
    near = near.fill_null(False)
    return known.with_columns(
        split_like=(near & ~is_real).cast(pl.Int64), overnight=(far & ~near & ~is_real).cast(pl.Int64)
    )


def _with_faults(facts: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    """Return the facts with the rows each file rule counts (a fault of the file itself counts 1) and ``detail``."""
    counts = [
        pl.when(pl.col("rule") == rule).then(pl.max_horizontal("rows", pl.lit(1))).sum().cast(pl.Int64).alias(rule)
        for rule in OF_FILE
    ]
    by_key = faults.group_by(KEY).agg(*counts, detail=pl.col("detail").sort().str.join("; "))
    return facts.join(by_key, on=KEY, how="left").with_columns(
        pl.col(*OF_FILE).fill_null(0), pl.col("detail").fill_null("")
    )


def previous_closes(raw: pl.DataFrame, *, days: Iterable[date]) -> pl.DataFrame:
    """Return CLOSES: for each of the days and each symbol the last usable close of the session before it, as delivered.

    Keys whose previous session has no usable row in ``raw`` are absent.
    """
    earlier = {calendar.shifted(day, -1): day for day in days}
    wanted = raw.filter(pl.col("day").is_in(list(earlier)))
    rows = row_classes.placed(wanted, calendar.sessions_frame(wanted["day"].unique()), QualityPolicy())
    last = rows.filter(pl.col("row_class") == "session").group_by(KEY).agg(previous_close=pl.col("close").last())
    following = pl.DataFrame(
        {"day": list(earlier), "next": list(earlier.values())}, schema={"day": pl.Date, "next": pl.Date}
    )
    return last.join(following, on="day", how="inner").select(pl.col("next").alias("day"), "symbol", "previous_close")


def grid(raw: pl.DataFrame, quality: pl.DataFrame, *, sessions: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return BARS: one row per minute of the session for every key whose verdict is ok or warned, none for others.

    A minute without a usable row is ``is_filled``: volume 0 and open = high = low = close = the session's last close,
    null before its first print. Nothing is taken from another session. Rows outside the session, repeated rows and
    impossible rows are left out (of rows that conflict the first delivered stays).
    """
    good = quality.filter(pl.col("verdict").is_in(["ok", "warned"])).select(KEY)
    lone = quality.filter(pl.col("wicks") > 0).select(KEY)
    rows = row_classes.placed(raw.join(good, on=KEY, how="semi"), sessions, policy)
    printed = row_classes.printed(rows, policy, lone=lone)
    minutes = _with_session(good, sessions).with_columns(ts=pl.datetime_ranges("open", "close", "1m", closed="left"))
    filling = minutes.select(*KEY, "ts").explode("ts").join(printed, on=[*KEY, "ts"], how="left").sort(*KEY, "ts")
    last_close = pl.col("close").forward_fill().over(KEY)
    filled = filling.with_columns(pl.col(p).fill_null(last_close) for p in PRICES)
    return BARS.conformed(
        filled.with_columns(is_filled=pl.col("volume").is_null(), volume=pl.col("volume").fill_null(0.0))
    )


def _with_session(keys: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the keys with open, close and rows_expected (minutes of the session)."""
    joined = keys.join(sessions.select("day", "open", "close"), on="day", how="left")
    if missing := joined.filter(pl.col("open").is_null())["day"].unique().sort().to_list():
        raise ValueError(f"no session is given for {missing[0]} ({len(missing)} days in all); ask for sessions only.")
    return joined.with_columns(rows_expected=(pl.col("close") - pl.col("open")).dt.total_minutes())


def _class_counts(policy: QualityPolicy) -> list[pl.Expr]:
    """Return the facts counted from row classes; the first minute counts once, whether printed, crossed or both."""
    usable = pl.col("row_class").is_in(USABLE)
    minutes = pl.col("minute").filter(usable).n_unique()
    names = {"duplicate": "duplicates", "conflict": "conflicts", "broken": "broken_ohlc"}
    others = [
        (pl.col("row_class") == row_class).sum().alias(names.get(row_class, row_class))
        for row_class in ("duplicate", "conflict", "outside", "off_minute", "broken")
    ]
    return [
        minutes.alias("rows_session"),
        (pl.col("row_class") == "auction").sum().alias("crosses"),
        (usable.sum() - minutes).alias("auction"),
        *others,
        ((pl.col("volume") == 0) & usable).sum().alias("zero_volume"),
        ((pl.col("volume") > policy.max_minute_volume) & usable).sum().alias("absurd_volume"),
        ((pl.max_horizontal(PRICES) > policy.max_price) & usable).sum().alias("absurd_price"),
        (pl.col("row").diff() < 0).sum().alias("unsorted"),
        pl.col("open").filter(usable).first().alias("first_price"),
    ]


def _gaps(placed: pl.DataFrame) -> pl.DataFrame:
    """Return [day, symbol, longest_fill]: the longest run of minutes without a print, the session's ends too.

    Keys without a usable row are absent.
    """
    printed = placed.filter(pl.col("row_class").is_in(USABLE))
    before_open, close = pl.col("open_time").first() - MINUTE, pl.col("close_time").first()
    edges = pl.concat([before_open, pl.col("minute"), close]).diff().dt.total_minutes()
    return printed.group_by(KEY).agg(longest_fill=(edges.max() - 1).clip(lower_bound=0))


def _moves(placed: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return [day, symbol, outliers, jumps, wicks]: close returns far out, or beyond any move; lone highs and lows."""
    session = placed.filter(pl.col("row_class") == "session")
    jumps = (row_classes.move().abs() > policy.max_minute_move).sum()
    moves = session.group_by(KEY).agg(outliers=row_classes.is_outlier(policy).sum(), jumps=jumps)
    lone = row_classes.wicks(session, policy).group_by(KEY).agg(wicks=pl.len())
    return moves.join(lone, on=KEY, how="left")
