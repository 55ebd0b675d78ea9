"""Every feature as one would write it with pandas, session by session: the oracle, and the yardstick for speed.

Straightforward on purpose: rolling, ewm and groupby as documented, no array of several sessions, nothing shared with
the package but the calendar. Column names and rules are those of the feature reference.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date

import numpy as np
import pandas as pd  # noqa: TID251 - the oracle is another library on purpose
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets_tests.core.news.scored_made import Event, slowly

Frame = pd.DataFrame
ATLEAST = 10


def oracle(
    bars: pl.DataFrame,
    vix: pl.DataFrame | None,
    *,
    days: Sequence[date],
    spec: FeatureSpec,
    told: Callable[[date], Sequence[Event] | None] = lambda _: None,
) -> Frame:
    """Return all features of the bars of ``days`` (none dropped) with day, symbol, ts and ``dropped``, sorted.

    ``told``: the events of a day and of the one before; None where nobody answered.
    """
    table = _pandas(bars).sort_values(["day", "symbol", "ts"])
    sessions = {key: own.reset_index(drop=True) for key, own in table.groupby(["day", "symbol"], sort=True)}
    symbols = sorted({symbol for _, symbol in sessions})
    daily = None if vix is None else _pandas(vix).set_index("date")["close"].sort_index()
    made = []
    for day in sorted(days):
        own = {symbol: sessions[day, symbol] for symbol in symbols if (day, symbol) in sessions}
        if not own:
            continue
        context = market(day, own, spec, daily)
        for symbol, session in own.items():
            before = sessions.get((calendar.shifted(day, -1), symbol))
            earlier = [sessions.get((calendar.shifted(day, -back), symbol)) for back in range(1, spec.sessions + 1)]
            peers = [own[s] for s in own if s != symbol and s in spec.sectors]
            peers = [p for p in peers if spec.sectors[p["symbol"].iloc[0]] == spec.sectors.get(symbol)]
            features = session_features(day, symbol, session, before, earlier, context, peers, spec)
            made.append(features if "news" not in spec.groups else features.assign(**news(session, told(day))))
    return pd.concat(made, ignore_index=True)


def _pandas(frame: pl.DataFrame) -> Frame:
    dates = ("day", "date")
    return pd.DataFrame({n: frame[n].to_list() if n in dates else frame[n].to_numpy() for n in frame.columns})


def log_prices(session: Frame) -> pd.Series:
    """Return ln P with P(open) first: one more row than the session."""
    return pd.Series(np.log([session["open"].iloc[0], *session["close"]]))


def returns(session: Frame, minutes: int = 1) -> pd.Series:
    """Return ln P(t) - ln P(t - minutes) at each bar."""
    return log_prices(session).diff(minutes).iloc[1:].reset_index(drop=True)


def moving(values: pd.Series, window: int, least: int = ATLEAST) -> pd.Series:
    """Return where a window holds two different numbers: a constant has no deviation, whatever rounding says."""
    window_of = values.rolling(window, min_periods=least)
    return window_of.max() > window_of.min()


def deviation(r: pd.Series, window: int) -> pd.Series:
    """Return the standard deviation of the last minutes, at least ten of them."""
    return r.rolling(window, min_periods=ATLEAST).std().where(moving(r, window))


def session_features(
    day: date,
    symbol: str,
    session: Frame,
    before: Frame | None,
    earlier: Sequence[Frame | None],
    context: Frame,
    peers: Sequence[Frame],
    spec: FeatureSpec,
) -> Frame:
    """Return the features of one session of one symbol."""
    found = {"day": session["day"], "symbol": session["symbol"], "ts": session["ts"]}
    found |= price(session) | volatility(session, before, spec) | volume(session)
    found |= compared(session, earlier, spec) | clock(day, session)
    found |= {name: context[name].iloc[: len(session)] for name in context.columns} | relations(session, context, spec)
    found |= sector(session, peers)
    for name, dated in spec.calendar.days.items():
        found[name] = pd.Series(float(day in dated), index=session.index)
    for name, by_symbol in spec.calendar.symbols.items():
        found[name] = pd.Series(float(day in by_symbol.get(symbol, ())), index=session.index)
    frame = pd.DataFrame(found)
    counted = [f.name for f in spec.features if f.counts]
    if context["context_missing"].iloc[0]:
        counted = [name for name in counted if name not in context.columns]
    share = frame[counted].isna().sum(axis=1)
    return frame.assign(dropped=share > spec.max_missing * len(counted) + 1e-9)


def price(bars: Frame) -> Mapping[str, pd.Series]:
    """Return returns and the bar's range."""
    found = {f"ret_{n}m": returns(bars, n) for n in (1, 5, 15, 30)}
    path = log_prices(bars)
    found["ret_open"] = (path - path.iloc[0]).iloc[1:].reset_index(drop=True)
    return found | {"range_pct": (bars["high"] - bars["low"]) / bars["close"]}


def volatility(bars: Frame, before: Frame | None, spec: FeatureSpec) -> dict[str, pd.Series]:
    """Return realised, rolling and weighted deviations, and the estimators from ranges."""
    r, root = returns(bars), spec.horizon_min**0.5
    found = {f"rv_{n}m": np.sqrt((r * r).rolling(n).sum().clip(lower=0)) for n in (5, 15, 30)}
    for n in (5, 15, 60):
        least = min(n, ATLEAST)
        found[f"sigma_{n}m"] = (r.rolling(n, min_periods=least).std() * root).where(moving(r, n, least))
    joined = r if before is None else pd.concat([returns(before), r], ignore_index=True)
    for span in (15, 60):
        spread = joined.ewm(span=span, ignore_na=True, min_periods=min(span, ATLEAST)).std().iloc[-len(r) :]
        found[f"vol_ewm_{span}m"] = (spread.reset_index(drop=True) * root).where(lambda x: x > 0).where(r.notna())
    warm = before is not None and bool(returns(before).notna().any())
    found["vol_ewm_warm"] = pd.Series(float(warm), index=bars.index)
    last = bars["close"].shift(1)
    spans = [bars["high"] - bars["low"], (bars["high"] - last).abs(), (bars["low"] - last).abs()]
    true_range = pd.concat(spans, axis=1).max(axis=1)
    found["atr_14m"] = true_range.rolling(14, min_periods=ATLEAST).mean() / bars["close"]
    wide, body = np.log(bars["high"] / bars["low"]) ** 2, np.log(bars["close"] / bars["open"]) ** 2
    klass = (0.5 * wide - (2 * np.log(2) - 1) * body).rolling(30, min_periods=ATLEAST).mean()
    found["parkinson_30m"] = np.sqrt(wide.rolling(30, min_periods=ATLEAST).mean().clip(lower=0) / (4 * np.log(2)))
    found["garman_klass_30m"] = np.sqrt(klass.clip(lower=0))
    sixty, moved = r.rolling(60, min_periods=ATLEAST), moving(r, 60)
    return found | {"skew_60m": sixty.skew().where(moved), "kurt_60m": sixty.kurt().where(moved)}


def norms(bars: Frame) -> dict[str, pd.Series]:
    """Return volumes relative to the session so far."""
    mean = bars["volume"].expanding().mean().where(lambda v: v > 0)
    short, long = (bars["volume"].rolling(n, min_periods=least).mean() for n, least in ((5, 5), (30, ATLEAST)))
    return {"volume_norm_5m": short / mean, "volume_norm_30m": long / mean}


def volume(bars: Frame) -> dict[str, pd.Series]:
    """Return VWAP and the distance from it, relative and signed volume."""
    close, traded = bars["close"], bars["volume"].where(bars["close"].notna())
    typical = (bars["high"] + bars["low"] + close) / 3
    shares = traded.rolling(30, min_periods=ATLEAST).sum()
    money = (typical * traded).rolling(30, min_periods=ATLEAST).sum()
    vwap = (money / shares).where(traded.rolling(30, min_periods=ATLEAST).max() > 0)
    spread = close.rolling(30, min_periods=ATLEAST).std().where(moving(close, 30))
    return norms(bars) | {
        "vwap_30m": vwap,
        "vwap_30m_z": (close - vwap) / spread,
        "vwap_trend_5m": np.log(vwap).diff(5),
        "signed_volume": np.sign(returns(bars)) * bars["volume"],
    }


def compared(bars: Frame, earlier: Sequence[Frame | None], spec: FeatureSpec) -> dict[str, pd.Series]:
    """Return the share of earlier sessions whose value at the same minute was no larger, and the bucket."""
    measures = {
        "volume": lambda b: b["volume"].rolling(5).sum(),
        "norm": lambda b: norms(b)["volume_norm_5m"],
        "span": lambda b: price(b)["range_pct"],
    }
    shares = {}
    for name, measure in measures.items():
        own = measure(bars)
        past = [measure(session) for session in earlier if session is not None]
        known = sum((p.reindex(own.index).notna().astype(int) for p in past), start=pd.Series(0, index=own.index))
        below = sum(((p.reindex(own.index) <= own).astype(int) for p in past), start=pd.Series(0, index=own.index))
        usable = own.notna() & (known >= max(1, -(-spec.sessions // 2)))
        shares[name] = (below / known.where(usable)).astype(float)
    norm, span = shares["norm"], shares["span"]
    bucket = pd.Series(1.0, index=bars.index)
    bucket[norm > spec.high] = 2.0
    bucket[(norm < spec.low) | (span > spec.high)] = 0.0
    bucket[norm.isna() | span.isna()] = -1.0
    return {"volume_percentile": shares["volume"], "range_percentile": span, "liquidity_bucket": bucket}


def clock(day: date, bars: Frame) -> dict[str, pd.Series]:
    """Return what the calendar says of each minute."""
    length = calendar.session(day).minutes
    index = pd.Series(np.arange(len(bars), dtype=float))
    progress, left = (index + 1) / length, length - index - 1
    bucket = pd.cut(index, [-1, 29, 119, 239, np.inf], labels=False).astype(float).where(left >= 30, 4.0)
    angle = 2 * np.pi * progress
    last = float(calendar.shifted(day, 1).month != day.month)
    return {
        "minute_index": index,
        "session_progress": progress,
        **{f"fourier_sin_{k}": np.sin(k * angle) for k in (1, 2, 3)},
        **{f"fourier_cos_{k}": np.cos(k * angle) for k in (1, 2, 3)},
        "minutes_to_close": left,
        "session_bucket": bucket,
        "weekday": pd.Series(float(day.isoweekday()), index=bars.index),
        "month_end": pd.Series(last, index=bars.index),
    }


def market(day: date, sessions: Mapping[str, Frame], spec: FeatureSpec, vix: pd.Series | None) -> Frame:
    """Return what the market did a minute before each minute of the day."""
    length = calendar.session(day).minutes
    nothing = pd.Series(np.nan, index=range(length))
    found: dict[str, pd.Series] = {}
    for symbol in spec.context:
        bars, name = sessions.get(symbol), symbol.lower()
        for n in (1, 5, 15):
            found[f"{name}_ret_{n}m"] = nothing if bars is None else returns(bars, n).shift(1)
        for n in (15, 60):
            found[f"{name}_vol_{n}m"] = nothing if bars is None else deviation(returns(bars), n).shift(1)
    others = pd.DataFrame({s: returns(b) for s, b in sessions.items() if s not in spec.context})
    found["dispersion"] = others.std(axis=1, ddof=1).reindex(range(length)).shift(1)
    if spec.context:
        found |= regimes(sessions.get(spec.context[0]), nothing)
    if vix is not None:
        found |= {name: pd.Series(value, index=range(length)) for name, value in yesterday(day, vix).items()}
    missing = any(symbol not in sessions for symbol in spec.context)
    found["context_missing"] = pd.Series(float(missing), index=range(length))
    return pd.DataFrame(found, index=range(length))


def news(bars: Frame, told: Sequence[Event] | None) -> dict[str, pd.Series]:
    """Return what was told of the symbol and of the market by the end of each minute."""
    symbol, ends = bars["symbol"].iloc[0], bars["ts"] + pd.Timedelta(minutes=1)
    of_symbol = [one for one in told or () if one["symbol"] == symbol or one["entity_kind"] == "macro"]
    moments = (end.to_pydatetime().replace(tzinfo=UTC) for end in ends)
    rows = [slowly(of_symbol, symbol=symbol, at=at, answered=told is not None) for at in moments]
    return dict(pd.DataFrame(rows, index=bars.index, dtype=float))


def sector(bars: Frame, peers: Sequence[Frame]) -> dict[str, pd.Series]:
    """Return the mean of the peers' returns a minute before each minute."""
    found = {"sector_missing": pd.Series(float(not peers), index=bars.index)}
    for n in (1, 5, 15):
        table = pd.DataFrame({i: returns(peer, n) for i, peer in enumerate(peers)}, index=bars.index, dtype=float)
        found[f"sector_ret_{n}m"] = table.mean(axis=1).shift(1)
    return found


def regimes(bars: Frame | None, nothing: pd.Series) -> dict[str, pd.Series]:
    """Return the flags of the leading context symbol."""
    if bars is None:
        return {"regime_up": nothing, "regime_volatile": nothing}
    money = ((bars["high"] + bars["low"] + bars["close"]) / 3 * bars["volume"]).fillna(0).cumsum()
    vwap = money / bars["volume"].cumsum().where(lambda v: v > 0)
    r = returns(bars)
    short, long = (deviation(r, n) for n in (15, 60))
    up = (bars["close"] > vwap).astype(float).where(vwap.notna() & bars["close"].notna())
    volatile = ((short > long) & (r.notna().cumsum() > 15)).astype(float).where(short.notna() & long.notna())
    return {"regime_up": up.shift(1), "regime_volatile": volatile.shift(1)}


def yesterday(day: date, vix: pd.Series) -> dict[str, float]:
    """Return VIX of the last day before this one, at most seven days old."""
    known = vix[[at < day for at in vix.index]]
    if known.empty or (day - known.index[-1]).days > 7:
        return {"vix_close": np.nan, "vix_change": np.nan, "regime_stress": np.nan}
    change = np.log(known.iloc[-1] / known.iloc[-2]) if len(known) > 1 else np.nan
    stress = float(known.iloc[-1] > known.iloc[-20:].mean()) if len(known) >= 20 else np.nan
    return {"vix_close": known.iloc[-1], "vix_change": change, "regime_stress": stress}


def relations(bars: Frame, context: Frame, spec: FeatureSpec) -> dict[str, pd.Series]:
    """Return beta and correlation with each context symbol, of returns up to a minute ago."""
    own = returns(bars).shift(1)
    found: dict[str, pd.Series] = {}
    for name in (symbol.lower() for symbol in spec.context):
        other = context[f"{name}_ret_1m"].iloc[: len(bars)].astype(float)
        counts = [x.rolling(60, min_periods=0).count() for x in (own, other)]
        paired = (counts[0] == counts[1]) & (counts[0] >= ATLEAST)
        both = other.rolling(60, min_periods=ATLEAST)
        beta = (both.cov(own) / both.var()).where(moving(other, 60))
        found[f"beta_{name}_60m"] = beta.where(paired)
        correlation = both.corr(own).clip(-1, 1).where(moving(own, 60) & moving(other, 60))
        found[f"corr_{name}_60m"] = correlation.where(paired)
    return found
