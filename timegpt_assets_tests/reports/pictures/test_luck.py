"""The picture of overfitting: every halving is in one bar, the median counts as not above itself, and it fits."""

import numpy as np
import pytest

from timegpt_assets.core.gates.luck import Choice
from timegpt_assets.core.overfitting import cscv, pbo
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.luck import overfitting


def choice(seed: int = 0, trials: int = 5) -> Choice:
    returns = np.random.default_rng(seed).normal(0, 1, (80, trials))
    return Choice(sessions=80, combinations=trials, logits=cscv(returns, blocks=8))


def test_the_red_bars_are_the_probability_and_all_bars_are_all_halvings() -> None:
    for seed in range(5):  # of five trials some logits are exactly 0
        found = choice(seed)
        assert np.any(found.logits == 0)
        spec = overfitting(found).to_dict()
        bars = max(spec["datasets"].values(), key=len)
        assert sum(bar["share"] for bar in bars) == pytest.approx(1.0)
        red = sum(bar["share"] for bar in bars if bar["where"] == "not above the median")
        assert red == pytest.approx(pbo(found.logits))
    assert (
        f"overfitting {pbo(found.logits):.0%}; 5 that differ; 70 halvings of 80 sessions" in spec["title"]["subtitle"]
    )


def test_it_is_a_note_that_fits_and_no_choice_is_said_to_be_none() -> None:
    assert render.note("overfitting", lambda: overfitting(choice())).startswith("![overfitting](data:image/png")
    assert ">no rows<" in render.svg(overfitting(None))
