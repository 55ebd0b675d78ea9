"""Which field of a file is which: by the header's names, by what the user said, by position where there is no header.

Belongs here: names. What stands in a column is stamps.py and numbers.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from timegpt_assets.core.bars.vendor_columns import ADJUSTED, ALIASES, NUMBERS
from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.shapes import Shape

TIME_NAMES = frozenset(
    (*ALIASES["ts"], "date", "index", "", "unnamed:_0", "start_time", "bar_time", "time_stamp", "dt", "timestamp_utc",
     "unix", "unix_timestamp", "unixtime", "begins_at", "gmt_time", "local_time", "datetime_utc", "day", "trade_date",
     "trading_day", "start", "time_utc", "minute", "bar_start_time", "period_start", "openedat", "date_utc")
)  # fmt: skip
"""Names under which a time stands; whether it is a whole stamp, a date or a time of day is seen in the column."""
CLOCK_NAMES = frozenset(("tod", "time_of_day", "timeofday", "ms_of_day", "clock", "hhmm", "hhmmss", "bar_time_of_day"))
MORE: Mapping[str, tuple[str, ...]] = {
    "symbol": ("act_symbol", "instrument_symbol", "stock", "code", "security", "root_symbol"),
    "open": ("opening", "openprice", "bar_open", "first_price", "px_open"),
    "high": ("highprice", "bar_high", "max_price", "px_high"),
    "low": ("lowprice", "bar_low", "min_price", "px_low"),
    "close": ("latest", "closing", "closeprice", "close/last", "last_price", "bar_close", "px_last", "price_close"),
    "volume": ("total_volume", "totalvolume", "totalvol", "shares", "trade_volume", "qty", "size", "volume_shares"),
}
"""Further aliases, which only the door knows; files in the layout keep to vendor_columns.ALIASES."""
ROLES = ("ts", "date", "clock", "symbol", *NUMBERS)
SKIP = ("-", "skip", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Where things stand, as columns of the cells: ``times`` may be several, ``numbers`` role -> its columns."""

    times: tuple[str, ...]
    clocks: tuple[str, ...]
    numbers: Mapping[str, tuple[str, ...]]
    symbol: str | None
    shown: Mapping[str, str]


def spelled(name: str) -> str:
    """Return a header's name as it is compared: small letters, no brackets, numbering, quotes or currency."""
    plain = name.strip().strip("\"'<>").strip().lower()
    plain = re.sub(r"^\d+\.\s*", "", plain).rstrip(".")
    plain = re.sub(r"\s*[(\[](?:usd|us\$|\$|utc|et|est|edt|shares)[)\]]$", "", plain)
    return re.sub(r"\s+", "_", plain)


def fields(header: Sequence[str] | None, width: int, shape: Shape, said: str | None) -> Fields:
    """Return which columns hold what. Raises Refused for a name that is missing, there twice, or said and not there."""
    given = list(header) if header is not None else [f"field {n + 1}" for n in range(width)]
    by_name = dict(_said_pairs(said, given)) if said and "=" in said else {}
    if said and "=" not in said:
        return _placed(_positions(said, width), given)
    if header is None:
        if not shape.positions:
            raise Refused(
                f"has no header line, and its rows are of no known vendor's. Say what its {width} fields are with "
                "--columns, for example --columns ts,open,high,low,close,volume (- for a field that is not used), or "
                "put such a line at its top."
            )
        return _placed(dict(enumerate(shape.positions)), given)
    return _by_names(given, shape, by_name)


def _said_pairs(said: str, given: Sequence[str]) -> list[tuple[str, int]]:
    pairs = []
    for part in said.split(","):
        role, _, name = (text.strip() for text in part.partition("="))
        if role not in ROLES:
            raise Refused(f"--columns names {role!r}, which is none of {', '.join(ROLES)}. Mend it.")
        at = [n for n, column in enumerate(given) if name in (column, column.strip())]
        if len(at) != 1:
            raise Refused(f"--columns {part.strip()}: the file has {len(at)} columns {name!r}. Name one of {given}.")
        pairs.append((role, at[0]))
    return pairs


def _positions(said: str, width: int) -> dict[int, str]:
    roles = [part.strip().lower() for part in said.split(",")]
    roles = [{"time": "clock", "timestamp": "ts", "datetime": "ts", "ticker": "symbol"}.get(r, r) for r in roles]
    if unknown := [role for role in roles if role not in (*ROLES, *SKIP)]:
        raise Refused(f"--columns names {unknown[0]!r}, which is none of {', '.join(ROLES)} or -. Mend it.")
    if len(roles) > width:
        raise Refused(f"has {width} fields, --columns names {len(roles)}. Mend it.")
    return {n: role for n, role in enumerate(roles) if role not in SKIP}


def _placed(roles: Mapping[int, str], given: Sequence[str]) -> Fields:
    at = {role: f"c{n}" for n, role in roles.items() if role not in SKIP}
    missing = [name for name in NUMBERS if name not in at]
    if missing or not {"ts", "date", "clock"} & at.keys():
        raise Refused(f"{', '.join(missing) or 'ts'} is not named. Name ts (or date,clock) and {', '.join(NUMBERS)}.")
    return Fields(
        times=tuple(at[role] for role in ("ts", "date") if role in at),
        clocks=(at["clock"],) if "clock" in at else (),
        numbers={name: (at[name],) for name in NUMBERS},
        symbol=at.get("symbol"),
        shown={f"c{n}": name for n, name in enumerate(given)},
    )


def _by_names(given: Sequence[str], shape: Shape, said: Mapping[str, int]) -> Fields:
    names = [spelled(name) for name in given]
    wrong: list[str] = []
    numbers: dict[str, tuple[str, ...]] = {}
    for role in NUMBERS:
        if role in said:
            numbers[role] = (f"c{said[role]}",)
        elif at := _found(role, given, names, shape, wrong):
            numbers[role] = at
    symbol = (f"c{said['symbol']}",) if "symbol" in said else _found("symbol", given, names, shape, wrong)
    told = {role: (f"c{said[role]}",) for role in ("ts", "date", "clock") if role in said}
    times = (*told.get("ts", ()), *told.get("date", ()))
    if not times:
        times = tuple(f"c{n}" for n, name in enumerate(names) if name in TIME_NAMES)
    clocks = told.get("clock") or tuple(f"c{n}" for n, name in enumerate(names) if name in CLOCK_NAMES)
    if not times:
        wrong.insert(0, "no column of times is known by its name")
    if wrong:
        raise Refused(f"{'; '.join(wrong)}. Say which it is, for example --columns ts=NAME,volume=NAME.")
    shown = {f"c{n}": name for n, name in enumerate(given)}
    return Fields(
        times=times, clocks=clocks, numbers=numbers, symbol=symbol[0] if symbol else None, shown=shown
    )  # fmt: skip


def _found(role: str, given: Sequence[str], names: Sequence[str], shape: Shape, wrong: list[str]) -> tuple[str, ...]:
    """Return the columns of a role; what is wrong is added to ``wrong``. The column called exactly so wins."""
    if role in shape.columns:
        parts = shape.columns[role].split("+")
        return tuple(f"c{names.index(part)}" for part in parts)
    aliases = (*ALIASES[role], *MORE.get(role, ()))
    exact = [n for n, name in enumerate(given) if name == role] or [n for n, name in enumerate(names) if name == role]
    matching = exact or [n for n, name in enumerate(names) if name in aliases]
    if len(matching) > 1:
        wrong.append(f"column {role} is there {len(matching)} times ({', '.join(given[n] for n in matching)})")
    elif not matching and role != "symbol":
        adjusted = [name for name in names if name.startswith(ADJUSTED) and name.endswith(role)]
        wrong.append(f"column {role} is missing{f' ({adjusted[0]} is adjusted)' if adjusted else ''}")
    return (f"c{matching[0]}",) if len(matching) == 1 else ()
