"""Past only, three ways, for every feature by name: the future changed, cut off, and no code that looks ahead."""

import ast
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.features import windows
from timegpt_assets.core.news.project import MISSING
from timegpt_assets_tests.core.bars.bars_factory import DAYS, perturbed, troubled_bars
from timegpt_assets_tests.core.features.made import EVENTS, NAMES, SPEC, made, news, vix
from timegpt_assets_tests.core.news.scored_made import otherwise_after

KEY = ["day", "symbol", "ts"]


def minutes_of(n: int, day: date) -> Iterator[int]:
    """Yield how many minutes a session has run: to its first usable row, before half an hour, midway, near the end."""
    length, random = calendar.session(day).minutes, np.random.default_rng(n)
    yield 15
    for low, high in ((16, 30), (30, length - 30), (length - 30, length - 15), (length - 15, length)):
        yield int(random.integers(low, high))


IN_A_HALT = (DAYS[3], 138)
"""Two minutes before AAA prints again: what is filled backwards or drawn to the next print would show here."""
MINUTES = [*((day, minute) for n, day in enumerate(DAYS) for minute in minutes_of(n, day)), IN_A_HALT]
KNOWN_BEFOREHAND = {
    *(name for name in NAMES if name.startswith(("fourier", "event_", "vix_"))),
    *("minute_index", "session_progress", "minutes_to_close", "session_bucket", "weekday", "month_end"),
    *("context_missing", "sector_missing", *MISSING, "vol_ewm_warm", "regime_stress"),
}
"""Features that no bar of the day can change: the other proofs would be empty of them."""


def moment(day, minute: int) -> datetime:
    return calendar.session(day).open + timedelta(minutes=minute)


@pytest.fixture(scope="module")
def whole() -> pl.DataFrame:
    return made(troubled_bars()).frame


@pytest.fixture(scope="module")
def otherwise(whole: pl.DataFrame) -> list[tuple[datetime, pl.DataFrame]]:
    """Return the features of bars and news that are others after each of the minutes, VIX of later days too."""
    bars, found = troubled_bars(), []
    for seed, (day, minute) in enumerate(MINUTES):
        at = moment(day, minute)
        later = pl.col("date") >= day
        closes = vix().with_columns(close=pl.when(later).then(pl.col("close") * 1.5).otherwise("close"))
        told = news(otherwise_after(EVENTS, at, seed))
        found.append((at, made(perturbed(bars, at, seed), closes=closes, told=told).frame))
    return found


@pytest.fixture(scope="module")
def cut_short() -> list[tuple[datetime, pl.DataFrame]]:
    """Return the features of bars of which none ends after each of the minutes, and of what was told by then."""
    bars = troubled_bars()
    found = []
    for day, minute in MINUTES:
        at = moment(day, minute)
        past = bars.filter(pl.col("ts") < at)
        days = [d for d in DAYS if d <= day]
        told = news([event for event in EVENTS if event["known_at"] <= at], days)
        found.append((at, made(past, days, closes=vix().filter(pl.col("date") < day), told=told).frame))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_changing_what_comes_after_a_minute_changes_no_bit_of_what_was_known(name, whole, otherwise):
    changed = 0
    for at, frame in otherwise:
        known = pl.col("known_at") <= at
        before, after = (f.filter(known).select(*KEY, name) for f in (whole, frame))
        assert before.equals(after, null_equal=True)
        changed += (
            not whole.filter(~known).select(*KEY, name).equals(frame.filter(~known).select(*KEY, name), null_equal=True)
        )
    assert changed or name in KNOWN_BEFOREHAND, "nothing came of the change: it proves nothing of this feature"


@pytest.mark.parametrize("name", NAMES)
def test_the_row_at_a_minute_is_the_same_when_the_bars_end_there(name, whole, cut_short):
    rows = 0
    for at, frame in cut_short:
        expected, found = (f.filter(pl.col("known_at") == at).select(*KEY, name) for f in (whole, frame))
        assert found.equals(expected, null_equal=True)
        rows += found.height
    assert rows >= len(MINUTES), "too few rows were there to compare"
    earlier = [frame.filter(pl.col("known_at") <= at).select(*KEY, name) for at, frame in cut_short]
    assert earlier[-1].equals(whole.filter(pl.col("known_at") <= cut_short[-1][0]).select(*KEY, name), null_equal=True)


FORBIDDEN_CALLS = {
    *("shift", "diff", "pct_change"),  # moves: windows.earlier and minutes.change alone
    *("backward_fill", "bfill", "reverse", "flip", "roll", "interpolate", "gather", "rolling", "over"),
    *("gradient", "convolve", "take_along_axis", "interp", "last"),
    *("mean", "std", "var", "max", "min", "median", "quantile", "rank", "sum"),
    *("nanmean", "nanstd", "nanmax", "nanmin", "nansum", "reduce"),
}
"""What could take a value from later in the session: moves, and figures of a whole axis."""
TURNING = {"center", "closed", "reverse", "strategy"}
"""Arguments that turn a window, a sum or a filling round."""
ALLOWED = {
    "context.py": {
        "shift": "VIX of the day before in the daily file",
        "rolling_mean": "VIX of earlier days",
        "strategy": "VIX",
    },
    "volume.py": {"take_along_axis": "of the first print, known before every row that has one"},
    "windows.py": {"max": "of session lengths and window lengths", "diff": "of the cells bars stand in: a check"},
    "matrix.py": {
        "max": "of the number of cells",
        "sum": "of the rows joined: a check",
        "over": "P(open) of the panel: known before every row",
    },
}


def looks_ahead(source: str, allowed: set[str] = frozenset(), *, moves: bool = False) -> Iterator[str]:
    """Yield what in a module's source could read a later minute.

    A formula may not slice along minutes, move values or sum up an axis itself; ``moves`` (the two modules that do)
    may slice, but not from a negative lag.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if (name in FORBIDDEN_CALLS or name.startswith("rolling")) and name not in allowed:
                yield f"line {node.lineno}: {name}"
            negative = [a for a in node.args if isinstance(a, ast.UnaryOp) and isinstance(a.op, ast.USub)]
            if name == "shift" and negative:
                yield f"line {node.lineno}: shift of the future"
        if isinstance(node, ast.keyword) and node.arg in TURNING - set(allowed):
            yield f"line {node.value.lineno}: {node.arg}"
        if isinstance(node, ast.Subscript) and not moves and any(_slices_minutes(part) for part in _parts(node)):
            yield f"line {node.lineno}: a slice along minutes"


def _parts(node: ast.Subscript) -> list[ast.expr]:
    """Return what stands for the last axis: the part after an ellipsis, or the third of three."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    dots = [i for i, p in enumerate(parts) if isinstance(p, ast.Constant) and p.value is Ellipsis]
    return parts[dots[0] + 1 :] if dots else parts[2:]


def _slices_minutes(part: ast.expr) -> bool:
    """Return whether a slice leaves out or turns round minutes; ``:1`` (the open) and a new axis do not."""
    if not isinstance(part, ast.Slice):
        return False
    opening = part.lower is None and isinstance(part.upper, ast.Constant) and part.upper.value == 1
    return not opening and (part.lower is not None or part.upper is not None or part.step is not None)


MODULES = sorted(Path(windows.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_formula_moves_values_in_time_by_itself(path: Path):
    moves = path.name in ("windows.py", "minutes.py")
    assert list(looks_ahead(path.read_text(), set(ALLOWED.get(path.name, {})), moves=moves)) == []


@pytest.mark.parametrize(
    "leak",
    [
        "x = values[..., 5:]",
        "x = values[:, :, 1:]",
        "x = values[..., ::-1]",
        "x = pl.col('close').shift(-1)",
        "x = pl.col('close').rolling_mean(5, center=True)",
        "x = np.roll(values, 3)",
        "x = values.mean(axis=-1)",
        "x = pl.col('close').backward_fill()",
        "x = pl.col('volume').sum().over('day')",
        "x = pl.col('volume').cum_sum(reverse=True)",
        "x = pl.col('close').fill_null(strategy='backward', limit=5)",
        "x = pl.col('close').interpolate()",
        "x = frame.join_asof(closes, on='day', strategy='forward')",
        "x = pl.col('close').last()",
        "x = np.nansum(values, axis=-1)",
        "x = np.gradient(values)",
        "x = np.maximum.reduce(values)",
    ],
)
def test_the_static_check_sees_each_way_to_look_ahead(leak: str):
    assert list(looks_ahead(leak))


def test_the_proofs_cover_every_feature_of_the_catalogue():
    assert set(NAMES) == {f.name for own in SPEC.by_group.values() for f in own}
    assert set(NAMES) >= KNOWN_BEFOREHAND
