"""Models of the second system (TSFM) on real prices: a model that runs here beside the last value and the baselines.

Asks about the last hours of every eighth market of the set of 728 (TIMEGPT_ASSETS_REAL_DATA), an hour ahead in steps of
five minutes, all on the same rows. Prints one JSON line an arm: rows, share of prices within the band of 80 % and
pinball loss, before the guards and after them (with the floor of the width), and CPU milliseconds a forecast. The last
value is what tollama's model mock answers; fracast is left out, and said to be, where make setup-neural did not run.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from timegpt_assets.adapters.tollama.in_process import InProcess
from timegpt_assets.adapters.tollama.probe import Probing
from timegpt_assets.config.settings import load_settings
from timegpt_assets.config.tsfm_inputs import baseline_spec, guards_spec, transform
from timegpt_assets.core.pinball import pinballs
from timegpt_assets.core.tsfm.asked import Asked, Floats
from timegpt_assets.core.tsfm.baselines import Name, baseline
from timegpt_assets.core.tsfm.guards import guarded

EVERY, CYCLES, HORIZON = 8, (216, 264), 12
QUANTILES = (0.1, 0.5, 0.9)
Arm = Callable[[Sequence[Asked]], Sequence[Floats]]


def rows(folder: Path) -> list[tuple[Asked, Floats]]:
    """Return what is asked and what came; markets with a hole in either are left out, for every arm alike."""
    prices = pl.read_parquet(folder / "prices_1m.parquet").sort("market_id", "ts")
    found = []
    for number, ((market,), own) in enumerate(prices.group_by("market_id", maintain_order=True)):
        y = own["p"].to_numpy()[4::5]
        for cycle in CYCLES if number % EVERY == 0 else ():
            if not np.isfinite(y[: cycle + HORIZON]).all():
                continue
            asked = Asked(
                market_id=f"{market}-{cycle}",
                as_of=datetime(2025, 11, 1, tzinfo=UTC),
                y=y[:cycle],
                seen=np.ones(cycle, dtype=np.bool_),
                longest_gap_min=0.0,
                freq_min=5,
                horizon=HORIZON,
                quantiles=QUANTILES,
            )
            found.append((asked, y[cycle : cycle + HORIZON]))
    return found


def scored(bands: Sequence[Floats], came: Sequence[Floats]) -> dict[str, float]:
    """Return the share of prices within the outer quantiles, and the pinball loss over all three."""
    band, price = np.concatenate(bands), np.concatenate(came)
    error, levels = price[:, None] - band, np.array(QUANTILES)
    pinball = pinballs(error, levels).mean()
    inside = ((price >= band[:, 0]) & (price <= band[:, -1])).mean()
    width = (band[:, -1] - band[:, 0]).mean()
    return {"coverage_80": round(inside, 4), "pinball": round(pinball, 6), "width": round(width, 4)}


def main() -> None:
    """Ask every arm about the same rows."""
    settings = load_settings(profile="demo", config_dir=None, environment={})
    space, spec, guards = transform(settings), baseline_spec(settings), guards_spec(settings)

    def of_baseline(name: Name) -> Arm:
        alone = type(spec)(order=(name,), span=spec.span, rolling_steps=spec.rolling_steps, min_points=spec.min_points)
        return lambda asked: [baseline(one, alone, space).values for one in asked]

    def of_model(asked: Sequence[Asked]) -> list[Floats]:
        probing = Probing(points=32, horizon=12, quantiles=QUANTILES, freq_min=5, timeout_s=2.0, warm_up_s=20.0)
        model = InProcess(version="auto", params={}, probing=probing, clock=lambda: datetime.now(UTC))
        in_space = [Asked(**{name: getattr(one, name) for name in Asked.__slots__} | {"y": space.forward(one.y)})
                    for one in asked]  # fmt: skip
        told = model.forecast(in_space, timeout_s=3600.0, request_id="benchmark")
        return [space.back(told.values[one.market_id]) for one in asked]

    arms: dict[str, Arm] = {"last value (mock)": lambda asked: [np.full((HORIZON, 3), one.y[-1]) for one in asked]}
    arms |= {name: of_baseline(name) for name in spec.order}
    if importlib.util.find_spec("fracast"):
        arms["fracast"] = of_model
    else:
        sys.stdout.write(json.dumps({"arm": "fracast", "left_out": "not installed: make setup-neural"}) + "\n")
    data = os.environ.get("TIMEGPT_ASSETS_REAL_DATA")
    if data is None:
        sys.stdout.write(json.dumps({"left_out": "no real data: set TIMEGPT_ASSETS_REAL_DATA"}) + "\n")
        return
    asked, came = zip(*rows(Path(data, "extras", "polymarket_btc_range_1m")), strict=True)
    for arm, ask in arms.items():
        began = time.process_time()
        bands = ask(asked)
        took = 1000 * (time.process_time() - began) / len(asked)
        floored = [guarded(band, QUANTILES, guards).values for band in bands]
        figures = {"arm": arm, "forecasts": len(asked), "prices": len(asked) * HORIZON, "cpu_ms": round(took, 2)}
        told = figures | scored(bands, came) | {"with_guards": scored(floored, came)}
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
