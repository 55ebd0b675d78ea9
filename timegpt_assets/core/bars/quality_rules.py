"""The rules bars are judged by, as data: what each finds, how gravely, in which words, and the limits compared with.

Belongs here: the rules and the policy. What they look at is counted in core/bars/session_grid.py, rows are sorted in
core/bars/rows.py.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

import polars as pl

Severity: TypeAlias = Literal["fail", "quarantine", "warn", "ignore"]
SEVERITIES = ("fail", "quarantine", "warn", "ignore")
GRAVE = ("fail", "quarantine")
AUCTION_POLICIES = ("merge", "drop", "keep")
WICK_POLICIES = ("hold", "keep")
REAL_JUMP = 1.0
"""A split of this ratio says that the jump of that morning is no split but real."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    """The limits of the quality rules and what breaking each one means.

    ``min_completeness``: least share of the session's own minutes (half days: fewer) that must have a usable row.
    ``sustained_fill_run``: longest run of minutes without a print, in minutes, that is still no rule broken.
    ``max_fill_share``: largest share of the session's minutes without a print.
    ``outlier_z``: a one-minute close return beyond this many robust standard deviations (1.4826 x MAD, a tick at least)
    is an outlier; ``tick_size``: USD, a hundredth of it under a dollar.
    ``max_wick``, ``wick_moves``: a high or low beyond its minute's close and the close before, by this in log price and
    by this many times the largest move between closes of the last half hour, is a lone print (a wick).
    ``wicks``: what becomes of it. ``hold``: it is brought back to the rest of its minute, so that no range and no stop
    or take sees it. ``keep``: it stays.
    ``max_minute_move``: a one-minute close log return beyond this is no price move.
    ``max_zero_volume_share``: largest share of printed minutes that may show no volume.
    ``max_minute_volume``: shares a minute beyond which a volume is absurd. ``max_price``: the same of a price, in USD.
    ``max_overnight_move``: an opening further from the previous close, in log price, is no price move.
    ``split_ratios``, ``split_tolerance``: an opening that differs from the previous close by about one of these ratios,
    either way, to this tolerance in log price, looks like a split. ``splits``: (symbol, day) -> ratio, those known;
    earlier prices are divided by it; REAL_JUMP says that the jump is real.
    ``halts``: (symbol, day) on which trading was halted: minutes without a print, however many, are no fault then.
    ``auction_open``, ``auction_close``: what a print one minute before the open (opening cross), or at the close
    (closing cross), does on a day with no earlier or later row. ``merge``: it joins the first (last) minute: its price
    becomes the bar's open (close), high and low widen, volumes add. ``keep``: the same for the prices, its volume is
    left out. ``drop``: it counts as outside the session. Where that minute has no row, the cross stands for it.
    ``max_offenders``: rows of a day and symbol listed per rule; all are counted.
    ``severity``: rule -> fail, quarantine, warn or ignore, on top of the defaults; fail and quarantine store the same
    verdict (a failed command is the caller's affair).
    Raises ValueError for an unknown rule, severity, auction or wick policy.
    """

    min_completeness: float = 0.95
    sustained_fill_run: int = 5
    max_fill_share: float = 0.05
    outlier_z: float = 20.0
    max_minute_move: float = 0.5
    max_zero_volume_share: float = 0.05
    max_minute_volume: float = 1e9
    max_price: float = 1e7
    max_overnight_move: float = 0.5
    max_wick: float = 0.01
    wick_moves: float = 5.0
    wicks: str = "hold"
    tick_size: float = 0.01
    split_ratios: tuple[float, ...] = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)
    split_tolerance: float = 0.05
    splits: Mapping[tuple[str, date], float] = field(default_factory=dict)
    halts: Collection[tuple[str, date]] = ()
    auction_open: str = "merge"
    auction_close: str = "drop"
    max_offenders: int = 5
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that no rule knows."""
        known = {"auction_open": AUCTION_POLICIES, "auction_close": AUCTION_POLICIES, "wicks": WICK_POLICIES}
        for name, allowed in known.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} {getattr(self, name)!r} is unknown; write one of {allowed}.")
        for rule, severity in self.severity.items():
            if rule not in DEFAULT_SEVERITY or severity not in SEVERITIES:
                raise ValueError(
                    f"severity {rule}: {severity} is unknown; write one of {tuple(DEFAULT_SEVERITY)} with one of "
                    f"{SEVERITIES}."
                )

    def severity_of(self, rule: str) -> str:
        """Return what breaking the rule does to a key."""
        return self.severity.get(rule, DEFAULT_SEVERITY[rule])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: when a (day, symbol) breaks it, in whose numbers it says so, which rows are to blame, and what helps.

    ``counted``: the fact that counts what offends; ``words`` quote it, then ``quoted``. ``remedy``: what to do about
    this cause and no other; every setting it names frees the day. ``broken`` is asked of the facts. ``offending`` is
    asked of placed rows (core/bars/rows.py); None where single rows are not to blame. ``of_file`` rules are found where
    the file is opened and hold for a key without rows too.
    """

    severity: Severity
    counted: str
    words: str
    remedy: str
    quoted: tuple[str, ...] = ()
    broken: Callable[[QualityPolicy], pl.Expr] | None = None
    offending: pl.Expr | None = None
    of_file: bool = False

    def is_broken(self, policy: QualityPolicy) -> pl.Expr:
        """Return whether a row of facts breaks the rule; the rules about whole days spare a key without rows."""
        broken = pl.col(self.counted) > 0 if self.broken is None else self.broken(policy)
        return broken.fill_null(False) & (pl.lit(self.of_file) | (pl.col("rows_raw") > 0))


def _of_class(name: str) -> pl.Expr:
    return pl.col("row_class") == name


def _share(fact: str, of: str) -> pl.Expr:
    """Return the share, null of nothing: 0/0 is NaN, and NaN is beyond every limit."""
    return pl.col(fact) / pl.when(pl.col(of) > 0).then(pl.col(of))


def _unless_halted(broken: pl.Expr) -> pl.Expr:
    """Return whether it is broken on a day without a halt: dropping one would take away what was entered before it."""
    return (pl.col("halted") == 0) & broken


RULES: Mapping[str, Rule] = {
    "unreadable": Rule(
        severity="fail", counted="unreadable", of_file=True,
        words="the file cannot be read", remedy="Put a whole parquet file in its place",
    ),
    "oversized": Rule(
        severity="fail", counted="oversized", of_file=True,
        words="the file is larger than a month of one ticker can be",
        remedy="Split it by ticker and month (import-bars does), or raise the limit of data.limits that detail names",
    ),
    "columns": Rule(
        severity="fail", counted="columns", of_file=True,
        words="the file has other columns than it must",
        remedy="Name ts, open, high, low, close and volume once each, and write numbers in them",
    ),
    "foreign": Rule(
        severity="quarantine", counted="foreign", of_file=True,
        words="{} rows are of another ticker", remedy="Put each ticker in its own file",
    ),
    "timeless": Rule(
        severity="warn", counted="timeless", of_file=True,
        words="{} rows of the file have no time", remedy="Write a time into column ts of every row",
    ),
    "other_month": Rule(
        severity="warn", counted="other_month", of_file=True,
        words="{} rows of the file are of other months", remedy="Move them to the files of their months",
    ),
    "holiday": Rule(
        severity="warn", counted="holiday", of_file=True,
        words="{} rows on days without a session", remedy="Delete them, or mend their dates",
    ),
    "shifted": Rule(
        severity="quarantine", counted="shifted_min",
        words="the session's rows lie {} minutes off", broken=lambda policy: pl.col("shifted_min") != 0,
        remedy="Set data.timezone to the zone of the stamps, or mend the stamps where the vendor missed a clock change",
    ),
    "incomplete": Rule(
        severity="quarantine", counted="rows_session", quoted=("rows_expected",),
        words="{} of {} minutes, under {limit:.1%}",
        broken=lambda policy: _unless_halted(pl.col("completeness") < policy.min_completeness),
        remedy="Fetch the whole day, name it in events.halts where it was halted, or lower dq_policy.min_completeness",
    ),
    "impossible": Rule(
        severity="quarantine", counted="broken_ohlc", offending=_of_class("broken"),
        words="{} rows of impossible prices or volume", remedy="Mend or delete the rows named in offending",
    ),
    "absurd_volume": Rule(
        severity="quarantine", counted="absurd_volume", offending=pl.col("is_absurd"),
        words="{} minutes of absurd volume, over {limit:,.0f}",
        remedy="Write volume in shares, or raise dq_policy.max_minute_volume",
    ),
    "absurd_price": Rule(
        severity="quarantine", counted="absurd_price", offending=pl.col("is_dear"),
        words="{} minutes of absurd prices, over {limit:,.0f} USD",
        remedy="Write prices in USD (fixed-point prices divided by their scale), or raise dq_policy.max_price",
    ),
    "conflicts": Rule(
        severity="fail", counted="conflicts", offending=_of_class("conflict"),
        words="{} rows contradict another of their minute", remedy="Keep one row a minute, the one that is right",
    ),
    "off_minute": Rule(
        severity="quarantine", counted="off_minute", offending=_of_class("off_minute"),
        words="{} rows do not begin on a minute", remedy="Deliver bars of one minute, stamped at a whole minute",
    ),
    "jump": Rule(
        severity="quarantine", counted="jumps", offending=pl.col("is_jump"),
        words="{} one-minute moves beyond {limit:g} in log price",
        remedy="Mend the prices named in offending, or raise dq_policy.max_minute_move where they are real",
    ),
    "split": Rule(
        severity="quarantine", counted="split_like",
        words="opens at a ratio to the previous close that looks like a split",
        remedy="Name the split in events.splits, with ratio 1 where the jump is real",
    ),
    "overnight": Rule(
        severity="quarantine", counted="overnight",
        words="opens beyond {limit:g} in log price from the previous close",
        remedy="Mend the prices of the days from there on, or name the day in events.splits: ratio 1 where it is real",
    ),
    "sustained_fill": Rule(
        severity="quarantine", counted="longest_fill",
        words="{} minutes in a row without a print, over {limit}",
        broken=lambda policy: _unless_halted(pl.col("longest_fill") > policy.sustained_fill_run),
        remedy="Fetch these minutes, name the day in events.halts where the stock was halted, or raise "
        "dq_policy.sustained_ffill_run",
    ),
    "too_filled": Rule(
        severity="quarantine", counted="filled", words="{} minutes without a print, over {limit:.1%}",
        broken=lambda policy: _unless_halted(_share("filled", "rows_expected") > policy.max_fill_share),
        remedy="Fetch these minutes, name the day in events.halts where the stock was halted, or raise "
        "dq_policy.max_fill_share for one that trades seldom",
    ),
    "duplicates": Rule(
        severity="warn", counted="duplicates", offending=_of_class("duplicate"),
        words="{} identical rows dropped", remedy="Deliver each row once",
    ),
    "unsorted": Rule(
        severity="warn", counted="unsorted", offending=pl.col("is_unsorted"),
        words="{} rows out of time order", remedy="Sort the file by ts",
    ),
    "outliers": Rule(
        severity="warn", counted="outliers", offending=pl.col("is_outlier"),
        words="{} returns beyond {limit:g} robust sigma",
        remedy="Mend the closes named in offending, or raise dq_policy.outlier_z where they are real",
    ),
    "wicks": Rule(
        severity="warn", counted="wicks", offending=pl.col("is_wick"),
        words="{} minutes with a lone high or low, further than {limit:g} in log price from the closes on either side",
        remedy="Mend the prices named in offending, or raise dq_policy.max_wick where they are real",
    ),
    "zero_volume": Rule(
        severity="warn", counted="zero_volume", offending=pl.col("is_silent"),
        words="{} printed minutes without volume, over {limit:.1%}",
        broken=lambda policy: _share("zero_volume", "rows_session") > policy.max_zero_volume_share,
        remedy="Deliver traded volume, or raise dq_policy.max_zero_volume_share",
    ),
    "auction": Rule(
        severity="ignore", counted="crosses", offending=_of_class("auction"),
        words="{} prints of a cross",
        remedy="Set dq_policy.auction_open, or auction_close, to drop where they are not wanted",
    ),
    "outside": Rule(
        severity="ignore", counted="outside", offending=_of_class("outside"),
        words="{} rows outside the session dropped", remedy="Deliver the rows of the session alone",
    ),
}  # fmt: skip
"""Rule name -> rule, gravest kinds first. Prints outside the session are no fault: feeds carry extended hours."""

LIMITS: Mapping[str, str] = {
    "incomplete": "min_completeness",
    "absurd_volume": "max_minute_volume",
    "absurd_price": "max_price",
    "jump": "max_minute_move",
    "sustained_fill": "sustained_fill_run",
    "too_filled": "max_fill_share",
    "outliers": "outlier_z",
    "overnight": "max_overnight_move",
    "wicks": "max_wick",
    "zero_volume": "max_zero_volume_share",
}
"""Rule -> the limit of the policy that its words quote."""
OF_FILE = tuple(name for name, rule in RULES.items() if rule.of_file)
DEFAULT_SEVERITY: Mapping[str, Severity] = {name: rule.severity for name, rule in RULES.items()}


def judged(facts: pl.DataFrame, policy: QualityPolicy, *, awaited: Collection[date] = ()) -> pl.DataFrame:
    """Return the facts with ``verdict`` (the gravest of the rules broken), ``rules`` and ``reason`` (those that count).

    A key without rows is no_data, or late on a day whose bars are ``awaited``, unless its file is at fault. ``rules``
    are names joined by commas, ``reason`` says of each what it found and what to do about it; both in the order of
    RULES.
    """
    heard = [name for name in RULES if policy.severity_of(name) != "ignore"]
    broken = {name: RULES[name].is_broken(policy) for name in heard}
    grave = [broken[name] for name in heard if policy.severity_of(name) in GRAVE]
    is_empty, is_late = pl.col("rows_raw") == 0, pl.col("day").is_in(sorted(awaited))
    absent = pl.when(is_late).then(pl.lit("late")).otherwise(pl.lit("no_data"))
    silence = pl.when(is_empty).then(
        pl.when(is_late)
        .then(pl.lit("the source has no rows yet. Run the day again once its file has come."))
        .otherwise(pl.lit("the source has no rows. Put its month file where data.template says, or leave the day out."))
    )
    reasons = [pl.when(broken[name]).then(_said(name, policy)) for name in heard]
    return facts.with_columns(
        # The literal stands where no rule is left to ask: any_horizontal needs a column.
        verdict=pl.when(pl.any_horizontal(pl.lit(False), *grave)).then(pl.lit("quarantined"))
        .when(is_empty).then(absent)
        .when(pl.any_horizontal(pl.lit(False), *broken.values())).then(pl.lit("warned"))
        .otherwise(pl.lit("ok")),
        rules=_listed([pl.when(broken[name]).then(pl.lit(name)) for name in heard], ","),
        reason=_listed([silence, *reasons], " "),
    )  # fmt: skip


def _said(name: str, policy: QualityPolicy) -> pl.Expr:
    rule, limit = RULES[name], LIMITS.get(name)
    words = rule.words
    if limit:
        head, _, form = words.partition("{limit")
        form, _, tail = form.partition("}")
        words = head + format(getattr(policy, limit), form.removeprefix(":")) + tail
    columns = (rule.counted, *rule.quoted)[: words.count("{}")]
    said = f"{words}. {rule.remedy}."
    return pl.format(said, *columns) if columns else pl.lit(said)


def _listed(parts: list[pl.Expr], separator: str) -> pl.Expr:
    if not parts:
        return pl.lit("")
    return pl.concat_str(pl.lit(""), *parts, separator=separator, ignore_nulls=True).str.strip_prefix(separator)


def rule_counts(quality: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return one row per rule: rule, severity, days (symbol days that break it), rows (what it counts there), first.

    ``first`` is the earliest offender as ``day symbol``, null where nobody breaks the rule; ``remedy`` what helps.
    """
    rows = []
    for name, rule in RULES.items():
        hit = quality.filter(rule.is_broken(policy)).sort("day", "symbol")
        first = f"{hit['day'][0]} {hit['symbol'][0]}" if hit.height else None
        rows.append(
            # abs: minutes of a shift have a sign, and would take each other away.
            (name, policy.severity_of(name), hit.height, int(hit[rule.counted].abs().sum() or 0), first, rule.remedy)
        )
    words = dict.fromkeys(("rule", "severity", "first", "remedy"), pl.String)
    schema = {name: words.get(name, pl.Int64) for name in ("rule", "severity", "days", "rows", "first", "remedy")}
    return pl.DataFrame(rows, schema=schema, orient="row")
