"""Layers over each other: the later one wins, and what cannot stand beside it goes."""

from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.config.layers import Leaf, layer, merged
from timegpt_assets.config.schema import Path

PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(lambda names: ("data", *names))
LAYERS = st.lists(st.dictionaries(PATHS, st.integers(0, 9).map(lambda value: Leaf(value, "somewhere")), max_size=6))


def test_a_scalar_or_an_empty_mapping_clears_what_lay_beneath_and_the_other_way_round() -> None:
    rates = layer({"trading": {"fees_bps": {"AAPL": 1.0, "default": 2.0}}}, origin="file")
    assert list(merged([rates, layer({"trading": {"fees_bps": {}}}, origin="above")])) == [("trading", "fees_bps")]
    cleared = [
        layer({"universe": {"sectors": {}}}, origin="file"),
        layer({"universe": {"sectors": {"X": "Y"}}}, origin="b"),
    ]
    assert list(merged(cleared)) == [("universe", "sectors", "X")]


@given(LAYERS)
def test_it_is_what_comparing_every_path_with_every_other_makes(layers: list[dict[Path, Leaf]]) -> None:
    expected: dict[Path, Leaf] = {}
    for upper in layers:
        for path, leaf in upper.items():
            if path not in expected:
                meeting = [o for o in expected if o[: len(path)] == path or path[: len(o)] == o]
                expected = {other: leaf for other, leaf in expected.items() if other not in meeting}
            expected[path] = leaf
    assert merged(layers) == expected
