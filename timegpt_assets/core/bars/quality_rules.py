"""The rules bars are judged by, as data: what each finds, how gravely, in which words, and the limits compared with.

Belongs here: the rules and the policy. What they look at is counted in core/bars/session_grid.py, rows are sorted in
core/bars/rows.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

import polars as pl

Severity: TypeAlias = Literal["fail", "quarantine", "warn", "ignore"]
SEVERITIES = ("fail", "quarantine", "warn", "ignore")
GRAVE = ("fail", "quarantine")
AUCTION_POLICIES = ("merge", "drop", "keep")
REAL_JUMP = 1.0
"""A split of this ratio says that the jump of that morning is no split but real."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    """The limits of the quality rules and what breaking each one means.

    ``min_completeness``: least share of the session's own minutes (half days: fewer) that must have a usable row.
    ``sustained_fill_run``: longest run of minutes without a print, in minutes, that is still no rule broken.
    ``max_fill_share``: largest share of the session's minutes without a print.
    ``outlier_z``: a one-minute close return beyond this many robust standard deviations (1.4826 x MAD) is an outlier.
    ``max_minute_move``: a one-minute close log return beyond this is no price move.
    ``max_zero_volume_share``: largest share of printed minutes that may show no volume.
    ``max_minute_volume``: shares a minute beyond which a volume is absurd.
    ``split_ratios``, ``split_tolerance``: an opening that differs from the previous close by about one of these ratios,
    either way, to this tolerance in log price, looks like a split. ``splits``: (symbol, day) -> ratio, those known;
    earlier prices are divided by it; REAL_JUMP says that the jump is real.
    ``auction_open``, ``auction_close``: what a print one minute before the open (opening cross), or at the close
    (closing cross), does. ``merge``: it joins the first (last) minute: its price becomes the bar's open (close), high
    and low widen, volumes add. ``keep``: the same for the prices, its volume is left out. ``drop``: it counts as
    outside the session. Where that minute has no row, the cross stands for it.
    ``max_offenders``: rows of a day and symbol listed per rule; all are counted.
    ``severity``: rule -> fail, quarantine, warn or ignore, on top of the defaults; fail and quarantine store the same
    verdict (a failed command is the caller's affair).
    Raises ValueError for an unknown rule, severity or auction policy.
    """

    min_completeness: float = 0.95
    sustained_fill_run: int = 5
    max_fill_share: float = 0.05
    outlier_z: float = 20.0
    max_minute_move: float = 0.5
    max_zero_volume_share: float = 0.05
    max_minute_volume: float = 1e9
    split_ratios: tuple[float, ...] = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)
    split_tolerance: float = 0.05
    splits: Mapping[tuple[str, date], float] = field(default_factory=dict)
    auction_open: str = "merge"
    auction_close: str = "drop"
    max_offenders: int = 5
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that no rule knows."""
        for name in ("auction_open", "auction_close"):
            if getattr(self, name) not in AUCTION_POLICIES:
                raise ValueError(f"{name} {getattr(self, name)!r} is unknown; write one of {AUCTION_POLICIES}.")
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
    """One rule: when a (day, symbol) breaks it, in whose numbers it says so, and which of its rows are to blame.

    ``counted``: the fact that counts what offends; ``words`` quote it, then ``quoted``. ``broken`` is asked of the
    facts. ``offending`` is asked of placed rows (core/bars/rows.py); None where single rows are not to blame.
    ``of_file`` rules are found where the file is opened and hold for a key without rows too.
    """

    severity: Severity
    counted: str
    words: str
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
    return pl.col(fact) / pl.col(of)


RULES: Mapping[str, Rule] = {
    "unreadable": Rule(
        severity="fail", counted="unreadable", words="the file cannot be read", of_file=True,
    ),
    "columns": Rule(
        severity="fail", counted="columns", words="the file has other columns than it must", of_file=True,
    ),
    "foreign": Rule(
        severity="quarantine", counted="foreign", words="{} rows are of another ticker", of_file=True,
    ),
    "timeless": Rule(
        severity="warn", counted="timeless", words="{} rows of the file have no time", of_file=True,
    ),
    "other_month": Rule(
        severity="warn", counted="other_month", words="{} rows of the file are of other months", of_file=True,
    ),
    "holiday": Rule(
        severity="warn", counted="holiday", words="{} rows on days without a session", of_file=True,
    ),
    "shifted": Rule(
        severity="quarantine", counted="shifted_min", words="the session's rows lie {} minutes off",
        broken=lambda policy: (pl.col("completeness") < policy.min_completeness) & (pl.col("shifted_min") != 0),
    ),
    "incomplete": Rule(
        severity="quarantine", counted="rows_session", words="{} of {} minutes, under {limit:.1%}",
        quoted=("rows_expected",), broken=lambda policy: pl.col("completeness") < policy.min_completeness,
    ),
    "impossible": Rule(
        severity="quarantine", counted="broken_ohlc", words="{} rows of impossible prices or volume",
        offending=_of_class("broken"),
    ),
    "absurd_volume": Rule(
        severity="quarantine", counted="absurd_volume", words="{} minutes of absurd volume, over {limit:,.0f}",
        offending=pl.col("is_absurd"),
    ),
    "conflicts": Rule(
        severity="fail", counted="conflicts", words="{} rows contradict another of their minute",
        offending=_of_class("conflict"),
    ),
    "off_minute": Rule(
        severity="quarantine", counted="off_minute", words="{} rows do not begin on a minute",
        offending=_of_class("off_minute"),
    ),
    "jump": Rule(
        severity="quarantine", counted="jumps", words="{} one-minute moves beyond {limit:g} in log price",
        offending=pl.col("is_jump"),
    ),
    "split": Rule(
        severity="quarantine", counted="split_like",
        words="opens at a ratio to the previous close that looks like a split; name it in events.splits",
    ),
    "sustained_fill": Rule(
        severity="quarantine", counted="longest_fill", words="{} minutes in a row without a print, over {limit}",
        broken=lambda policy: pl.col("longest_fill") > policy.sustained_fill_run,
    ),
    "too_filled": Rule(
        severity="quarantine", counted="filled", words="{} minutes without a print, over {limit:.1%}",
        broken=lambda policy: pl.col("filled") * (1.0 / pl.col("rows_expected")) > policy.max_fill_share,
    ),
    "duplicates": Rule(
        severity="warn", counted="duplicates", words="{} identical rows dropped", offending=_of_class("duplicate"),
    ),
    "unsorted": Rule(
        severity="warn", counted="unsorted", words="{} rows out of time order", offending=pl.col("is_unsorted"),
    ),
    "outliers": Rule(
        severity="warn", counted="outliers", words="{} returns beyond {limit:g} robust sigma",
        offending=pl.col("is_outlier"),
    ),
    "zero_volume": Rule(
        severity="warn", counted="zero_volume", words="{} printed minutes without volume, over {limit:.1%}",
        broken=lambda policy: _share("zero_volume", "rows_session") > policy.max_zero_volume_share,
        offending=pl.col("is_silent"),
    ),
    "auction": Rule(severity="ignore", counted="crosses", words="{} prints of a cross", offending=_of_class("auction")),
    "outside": Rule(
        severity="ignore", counted="outside", words="{} rows outside the session dropped",
        offending=_of_class("outside"),
    ),
}  # fmt: skip
"""Rule name -> rule, gravest kinds first. Prints outside the session are no fault: feeds carry extended hours."""

LIMITS: Mapping[str, str] = {
    "incomplete": "min_completeness",
    "absurd_volume": "max_minute_volume",
    "jump": "max_minute_move",
    "sustained_fill": "sustained_fill_run",
    "too_filled": "max_fill_share",
    "outliers": "outlier_z",
    "zero_volume": "max_zero_volume_share",
}
"""Rule -> the limit of the policy that its words quote."""
OF_FILE = tuple(name for name, rule in RULES.items() if rule.of_file)
DEFAULT_SEVERITY: Mapping[str, Severity] = {name: rule.severity for name, rule in RULES.items()}


def judged(facts: pl.DataFrame, policy: QualityPolicy, *, late_day: date | None = None) -> pl.DataFrame:
    """Return the facts with ``verdict`` (the gravest of the rules broken), ``rules`` and ``reason`` (those that count).

    A key without rows is no_data, or late on ``late_day``, unless its file is at fault. ``rules`` are names joined by
    commas, ``reason`` sentences joined by semicolons, both in the order of RULES.
    """
    heard = [name for name in RULES if policy.severity_of(name) != "ignore"]
    broken = {name: RULES[name].is_broken(policy) for name in heard}
    grave = [broken[name] for name in heard if policy.severity_of(name) in GRAVE]
    is_empty, is_late = pl.col("rows_raw") == 0, (pl.col("day") == pl.lit(late_day, pl.Date)).fill_null(False)
    absent = pl.when(is_late).then(pl.lit("late")).otherwise(pl.lit("no_data"))
    silence = pl.when(is_empty).then(
        pl.when(is_late)
        .then(pl.lit("the source has no rows by the deadline"))
        .otherwise(pl.lit("the source has no rows"))
    )
    reasons = [pl.when(broken[name]).then(_said(name, policy)) for name in heard]
    return facts.with_columns(
        verdict=pl.when(pl.any_horizontal(pl.lit(False), *grave)).then(pl.lit("quarantined"))
        .when(is_empty).then(absent)
        .when(pl.any_horizontal(pl.lit(False), *broken.values())).then(pl.lit("warned"))
        .otherwise(pl.lit("ok")),
        rules=_listed([pl.when(broken[name]).then(pl.lit(name)) for name in heard], ","),
        reason=_listed([silence, *reasons], "; "),
    )  # fmt: skip


def _said(name: str, policy: QualityPolicy) -> pl.Expr:
    rule, limit = RULES[name], LIMITS.get(name)
    words = rule.words
    if limit:
        head, _, form = words.partition("{limit")
        form, _, tail = form.partition("}")
        words = head + format(getattr(policy, limit), form.removeprefix(":")) + tail
    columns = (rule.counted, *rule.quoted)[: words.count("{}")]
    return pl.format(words, *columns) if columns else pl.lit(words)


def _listed(parts: list[pl.Expr], separator: str) -> pl.Expr:
    if not parts:
        return pl.lit("")
    return pl.concat_str(pl.lit(""), *parts, separator=separator, ignore_nulls=True).str.strip_prefix(separator)


def rule_counts(quality: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return one row per rule: rule, severity, days (symbol days that break it), rows (what it counts there), first.

    ``first`` is the earliest offender as ``day symbol``; null where nobody breaks the rule.
    """
    rows = []
    for name, rule in RULES.items():
        hit = quality.filter(rule.is_broken(policy)).sort("day", "symbol")
        first = f"{hit['day'][0]} {hit['symbol'][0]}" if hit.height else None
        rows.append((name, policy.severity_of(name), hit.height, int(hit[rule.counted].abs().sum() or 0), first))
    schema = {"rule": pl.String, "severity": pl.String, "days": pl.Int64, "rows": pl.Int64, "first": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
