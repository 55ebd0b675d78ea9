"""Raw bars -> facts, verdicts and the gapless session grid.

Belongs here: what becomes of each delivered row, the facts counted per (day, symbol), the rules that turn facts into a
verdict, and the grid. Reading bars belongs to adapters/market_data.py, session times to core/calendar.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import polars as pl

from timegpt_assets.core.tables import BARS, QUALITY

Severity: TypeAlias = Literal["fail", "quarantine", "warn", "ignore"]
AUCTION_POLICIES = ("merge", "drop", "keep")
SEVERITIES = ("fail", "quarantine", "warn", "ignore")
KEY = ("day", "symbol")
MINUTE = pl.duration(minutes=1)
PRICES = ("open", "high", "low", "close")
DEFAULT_SEVERITY: Mapping[str, Severity] = {
    "incomplete": "quarantine",
    "impossible": "quarantine",
    "conflicts": "quarantine",
    "off_minute": "quarantine",
    "sustained_fill": "quarantine",
    "too_filled": "quarantine",
    "duplicates": "warn",
    "outliers": "warn",
    "zero_volume": "warn",
    "outside": "ignore",
}
"""What each rule does to a key. Prints outside the session are no fault: most feeds carry extended hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    """The limits of the quality rules and what breaking each one means.

    ``min_completeness``: least share of the session's own minutes (half days: fewer) that must have a usable row.
    ``sustained_fill_run``: longest run of minutes without a print, in minutes, that is still no rule broken.
    ``max_fill_share``: largest share of the session's minutes without a print.
    ``outlier_z``: a one-minute close return beyond this many robust standard deviations (1.4826 x MAD) is an outlier.
    ``max_zero_volume_share``: largest share of printed minutes that may show no volume.
    ``auction_open``: what a print one minute before the open (the opening cross) does. ``merge``: it joins the first
    minute: its open becomes the bar's, high and low widen, volumes add. ``keep``: the same for the prices, its volume
    is left out. ``drop``: it counts as outside the session. Where 09:30 has no row, the cross stands for it.
    ``severity``: rule -> fail, quarantine, warn or ignore, on top of the defaults; fail and quarantine store the same
    verdict (a failed blocking check is the caller's affair).
    Raises ValueError for an unknown rule, severity or auction policy.
    """

    min_completeness: float = 0.95
    sustained_fill_run: int = 5
    max_fill_share: float = 0.05
    outlier_z: float = 20.0
    max_zero_volume_share: float = 0.05
    auction_open: str = "merge"
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that no rule knows."""
        if self.auction_open not in AUCTION_POLICIES:
            raise ValueError(f"auction_open {self.auction_open!r} is unknown; write one of {AUCTION_POLICIES}.")
        for rule, severity in self.severity.items():
            if rule not in DEFAULT_SEVERITY or severity not in SEVERITIES:
                raise ValueError(
                    f"severity {rule}: {severity} is unknown; write one of {tuple(DEFAULT_SEVERITY)} with one of "
                    f"{SEVERITIES}."
                )

    def severity_of(self, rule: str) -> str:
        """Return what breaking the rule does to a key."""
        return self.severity.get(rule, DEFAULT_SEVERITY[rule])


def quality(raw: pl.DataFrame, *, keys: pl.DataFrame, sessions: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return exactly one QUALITY row per key: its facts, a verdict and the reason in words.

    ``raw`` RAW_BARS, rows of other keys are not looked at; ``keys`` [day, symbol]; ``sessions`` [day, open, close].
    A key without any row in ``raw`` is no_data. Every delivered row is counted once: rows_raw = rows_session + auction
    + duplicates + conflicts + outside + off_minute + broken_ohlc.
    Raises ValueError for a key whose day is no session.
    """
    wanted = _with_session(keys.select(KEY).unique(), sessions)
    placed = _placed(raw.join(wanted, on=KEY, how="semi"), sessions, policy)
    counted = placed.group_by(KEY).agg(pl.len().alias("rows_raw"), *_fate_counts())
    facts = (
        wanted.join(counted, on=KEY, how="left")
        .join(_gaps(placed), on=KEY, how="left")
        .join(_outliers(placed, policy), on=KEY, how="left")
        .with_columns(pl.col("longest_fill").fill_null(pl.col("rows_expected")))
        .with_columns(pl.selectors.integer().fill_null(0).cast(pl.Int64))
        .with_columns(
            completeness=pl.col("rows_session") * (1.0 / pl.col("rows_expected")),  # see features/clock.py
            filled=pl.col("rows_expected") - pl.col("rows_session"),
        )
    )
    return QUALITY.conformed(_judged(facts, policy).drop("open", "close"))


def grid(raw: pl.DataFrame, quality: pl.DataFrame, *, sessions: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return BARS: one row per minute of the session for every key whose verdict is ok or warned, none for others.

    A minute without a usable row is ``is_filled``: volume 0 and open = high = low = close = the session's last close,
    null before its first print. Nothing is taken from another session. Rows outside the session, repeated rows and
    impossible rows are left out (of rows that conflict the first delivered stays).
    """
    good = quality.filter(pl.col("verdict").is_in(["ok", "warned"])).select(KEY)
    printed = _printed(_placed(raw.join(good, on=KEY, how="semi"), sessions, policy), policy)
    minutes = _with_session(good, sessions).with_columns(ts=pl.datetime_ranges("open", "close", "1m", closed="left"))
    rows = minutes.select(*KEY, "ts").explode("ts").join(printed, on=[*KEY, "ts"], how="left").sort(*KEY, "ts")
    last_close = pl.col("close").forward_fill().over(KEY)
    filled = rows.with_columns(pl.col(p).fill_null(last_close) for p in PRICES)
    return BARS.conformed(
        filled.with_columns(is_filled=pl.col("volume").is_null(), volume=pl.col("volume").fill_null(0.0))
    )


def _with_session(keys: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the keys with open, close and rows_expected (minutes of the session)."""
    joined = keys.join(sessions.select("day", "open", "close"), on="day", how="left")
    if missing := joined.filter(pl.col("open").is_null())["day"].unique().sort().to_list():
        raise ValueError(f"no session is given for {missing[0]} ({len(missing)} days in all); ask for sessions only.")
    return joined.with_columns(rows_expected=(pl.col("close") - pl.col("open")).dt.total_minutes())


def _placed(raw: pl.DataFrame, sessions: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the raw rows with ``minute`` (where they go on the grid) and ``fate``, in the order delivered.

    fate: session, auction (the opening cross), duplicate, conflict, outside, off_minute or broken; the grid is made of
    the first two.
    """
    merges = pl.lit(policy.auction_open != "drop")
    is_cross = merges & (pl.col("ts") == pl.col("open_time") - MINUTE)
    inside = (pl.col("ts") >= pl.col("open_time")) & (pl.col("ts") < pl.col("close_time"))
    times = sessions.select("day", open_time="open", close_time="close")
    rows = raw.join(times, on="day", how="left").sort(*KEY, "ts", "row")
    rows = rows.with_columns(
        fate=pl.when(~(inside | is_cross).fill_null(False)).then(pl.lit("outside"))
        .when(pl.col("ts").dt.truncate("1m") != pl.col("ts")).then(pl.lit("off_minute"))
        .when(_impossible()).then(pl.lit("broken"))
        .when(is_cross).then(pl.lit("auction"))
        .otherwise(pl.lit("session")),
        minute=pl.when(is_cross).then("open_time").otherwise("ts"),
    )  # fmt: skip
    return _repeats_marked(rows)


def _impossible() -> pl.Expr:
    """Return whether a row cannot be: a price missing, not finite or not positive, OHLC out of order, volume < 0."""
    numbers = [*(pl.col(p) for p in PRICES), pl.col("volume")]
    unusable = pl.any_horizontal(*(n.is_null() | ~n.is_finite() for n in numbers)).fill_null(True)
    low, high = pl.min_horizontal("open", "close", "high"), pl.max_horizontal("open", "close", "low")
    out_of_order = (pl.col("low") > low) | (pl.col("high") < high) | (pl.col("low") <= 0) | (pl.col("volume") < 0)
    return unusable | out_of_order.fill_null(True)


def _repeats_marked(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows, usable ones after the first of their minute marked duplicate (identical) or conflict."""
    usable = pl.col("fate").is_in(["session", "auction"])
    same_minute = pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in (*KEY, "ts", "fate"))
    candidates = rows.filter(usable)
    if not candidates.select(same_minute.any()).item():  # the usual case: nothing repeats, nothing to compare
        return rows
    place = [*KEY, "ts"]
    identical = pl.all_horizontal(pl.col(c) == pl.col(c).first().over(place) for c in (*PRICES, "volume"))
    repeats = candidates.with_columns(
        repeat=pl.when(pl.col("row") != pl.col("row").first().over(place)).then(
            pl.when(identical).then(pl.lit("duplicate")).otherwise(pl.lit("conflict"))
        )
    ).select(*place, "row", "repeat")
    joined = rows.join(repeats, on=[*place, "row"], how="left", maintain_order="left")
    return joined.with_columns(fate=pl.coalesce("repeat", "fate")).drop("repeat")


def _fate_counts() -> list[pl.Expr]:
    """Return the facts counted from fates; the first minute counts once, whether printed, crossed or both."""
    usable = pl.col("fate").is_in(["session", "auction"])
    minutes = pl.col("minute").filter(usable).n_unique()
    names = {"duplicate": "duplicates", "conflict": "conflicts", "broken": "broken_ohlc"}
    others = [
        (pl.col("fate") == fate).sum().alias(names.get(fate, fate))
        for fate in ("duplicate", "conflict", "outside", "off_minute", "broken")
    ]
    zero = ((pl.col("volume") == 0) & usable).sum().alias("zero_volume")
    return [minutes.alias("rows_session"), (usable.sum() - minutes).alias("auction"), *others, zero]


def _gaps(placed: pl.DataFrame) -> pl.DataFrame:
    """Return [day, symbol, longest_fill]: the longest run of minutes without a print, the session's ends too.

    Keys without a usable row are absent.
    """
    printed = placed.filter(pl.col("fate").is_in(["session", "auction"]))
    before_open, close = pl.col("open_time").first() - MINUTE, pl.col("close_time").first()
    edges = pl.concat([before_open, pl.col("minute"), close]).diff().dt.total_minutes()
    return printed.group_by(KEY).agg(longest_fill=(edges.max() - 1).clip(lower_bound=0))


def _outliers(placed: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return [day, symbol, outliers]: one-minute close returns beyond outlier_z x 1.4826 x MAD of the key's own.

    A key whose MAD is zero has none.
    """
    move = (pl.col("close").log().diff() - pl.col("close").log().diff().median()).abs()
    limit = policy.outlier_z * 1.4826 * move.median()
    printed = placed.filter(pl.col("fate") == "session")
    return printed.group_by(KEY).agg(outliers=((move > limit) & (limit > 0)).sum())


def _rules(policy: QualityPolicy) -> dict[str, tuple[pl.Expr, str, tuple[str, ...]]]:
    """Return rule -> (broken, words, columns the words quote)."""
    share = pl.col("filled") * (1.0 / pl.col("rows_expected"))
    zero_share = pl.col("zero_volume") / pl.col("rows_session")
    return {
        "incomplete": (
            pl.col("completeness") < policy.min_completeness,
            f"{{}} of {{}} minutes, under {policy.min_completeness:.1%}",
            ("rows_session", "rows_expected"),
        ),
        "impossible": (pl.col("broken_ohlc") > 0, "{} rows of impossible prices or volume", ("broken_ohlc",)),
        "conflicts": (pl.col("conflicts") > 0, "{} rows contradict another of their minute", ("conflicts",)),
        "off_minute": (pl.col("off_minute") > 0, "{} rows do not begin on a minute", ("off_minute",)),
        "sustained_fill": (
            pl.col("longest_fill") > policy.sustained_fill_run,
            f"{{}} minutes in a row without a print, over {policy.sustained_fill_run}",
            ("longest_fill",),
        ),
        "too_filled": (
            share > policy.max_fill_share,
            f"{{}} minutes without a print, over {policy.max_fill_share:.1%}",
            ("filled",),
        ),
        "duplicates": (pl.col("duplicates") > 0, "{} identical rows dropped", ("duplicates",)),
        "outliers": (pl.col("outliers") > 0, f"{{}} returns beyond {policy.outlier_z:g} robust sigma", ("outliers",)),
        "zero_volume": (
            zero_share > policy.max_zero_volume_share,
            f"{{}} printed minutes without volume, over {policy.max_zero_volume_share:.1%}",
            ("zero_volume",),
        ),
        "outside": (pl.col("outside") > 0, "{} rows outside the session dropped", ("outside",)),
    }


def _judged(facts: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the facts with verdict (the gravest of the rules broken) and reason (those that count, in table order)."""
    heard = {name: rule for name, rule in _rules(policy).items() if policy.severity_of(name) != "ignore"}
    broken = {name: rule[0].fill_null(False) for name, rule in heard.items()}
    grave = [broken[name] for name in heard if policy.severity_of(name) in ("fail", "quarantine")]
    reasons = [pl.when(broken[name]).then(pl.format(words, *columns)) for name, (_, words, columns) in heard.items()]
    is_empty = pl.col("rows_raw") == 0
    return facts.with_columns(
        verdict=pl.when(is_empty).then(pl.lit("no_data"))
        .when(pl.any_horizontal(pl.lit(False), *grave)).then(pl.lit("quarantined"))
        .when(pl.any_horizontal(pl.lit(False), *broken.values())).then(pl.lit("warned"))
        .otherwise(pl.lit("ok")),
        reason=pl.when(is_empty).then(pl.lit("the source has no rows"))
        .otherwise(pl.concat_str(pl.lit(""), *reasons, separator="; ", ignore_nulls=True).str.strip_prefix("; ")),
    )  # fmt: skip


def _printed(placed: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return one bar per printed minute [day, symbol, ts, open, high, low, close, volume], the cross joined."""
    rows = placed.filter(pl.col("fate").is_in(["session", "auction"]))
    in_first = (pl.col("fate") == "auction") | (pl.col("ts") == pl.col("open_time"))
    counts = pl.lit(policy.auction_open == "merge") | (pl.col("fate") == "session")
    columns = [*KEY, "minute", *PRICES, "volume"]
    joined = (
        rows.filter(in_first)
        .group_by(*KEY, "minute")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").filter(counts).sum(),
        )
    )
    return pl.concat([joined.select(columns), rows.filter(~in_first).select(columns)]).rename({"minute": "ts"})
