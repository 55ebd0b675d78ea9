"""Pictures at a glance: within what the UI opens in place, readable as SVG, and true to the rows."""

import random
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from timegpt_assets.reports.pictures import glimpse

WALK = [100 + random.Random(n).gauss(0, 3) for n in range(56)]


def drawn(note: str) -> dict[str, str]:
    """Return the paths of a glimpse by their colour."""
    address = re.search(r"!\[\]\(data:image/svg\+xml,([^ ()]+)\)$", note)
    assert address, note
    svg = ElementTree.fromstring(unquote(address[1]))  # noqa: S314 - drawn here
    return {path.get("stroke"): path.get("d") for path in svg}


def test_a_session_s_path_with_its_offending_rows_fits() -> None:
    assert glimpse.LIMIT < 1000, "what the UI opens in place"
    note = glimpse.price_path("BRK.B on 2025-01-30: quarantined", WALK, [0.0, 0.5, 1.0] * 9)
    assert len(note) <= glimpse.LIMIT
    paths = drawn(note)
    assert paths[glimpse.VERMILION] == "M0,0v40M80,0v40M160,0v40"
    heights = [int(y) for y in re.findall(r",(\d+)", paths[glimpse.BLUE])]
    assert (len(heights), min(heights), max(heights)) == (56, 0, 40)
    assert heights.index(0) == WALK.index(max(WALK)), "up is dearer"


def test_a_minute_that_is_not_known_lifts_the_pen() -> None:
    path = drawn(glimpse.price_path("A", [None, 1.0, 2.0, None, 3.0]))[glimpse.BLUE]
    assert path == "M40,40L80,20M160,0"
    assert glimpse.BLUE not in drawn(glimpse.price_path("A", [None, None]))
    assert drawn(glimpse.price_path("A", [5.0, 5.0]))[glimpse.BLUE] == "M0,40L160,40"


@pytest.mark.parametrize("count", [1, 7, 26, 60, 2000])
def test_forecasts_beside_their_outcomes_fit_however_many_there_are(count: int) -> None:
    dice = random.Random(count)
    rows = [(-1.3, -0.6, 0.6, 1.3, dice.gauss(0, 1)) for _ in range(count)]
    note = glimpse.bands("AAPL on 2025-01-30", rows)
    assert len(note) <= glimpse.LIMIT
    kept = len(re.findall("M", drawn(note)[glimpse.BLUE]))
    said = re.search(r"one in (\d+) drawn", note)
    assert kept == len(rows[:: int(said[1])] if said else rows)


def test_an_outcome_outside_its_band_is_vermilion() -> None:
    paths = drawn(glimpse.bands("A", [(-1, -0.5, 0.5, 1, 0), (-1, -0.5, 0.5, 1, 3)]))
    assert paths == {
        glimpse.SKY: "M40,20V40M120,20V40",
        glimpse.BLUE: "M40,25V35M120,25V35",
        "#000": "M40,30h1",
        glimpse.VERMILION: "M120,0h1",
        glimpse.MUTED: "M0,0H160V40H0z",
    }


def test_words_are_no_markdown() -> None:
    assert glimpse.price_path("[a](b)", [1.0]).startswith(r"\[a\](b)")
