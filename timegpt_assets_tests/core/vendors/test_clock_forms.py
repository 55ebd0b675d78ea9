"""How one stamp is written, and what a zone behind it says."""

import pytest

from timegpt_assets.core.vendors.clock_forms import Form, form_of, is_zone, zone_of


@pytest.mark.parametrize(
    ("suffix", "minutes"),
    [
        ("", ""), ("  ", ""), ("Z", 0), ("utc", 0), (" GMT", 0),
        (" EST", -300), (" EDT", -240), (" CST", -360), (" CDT", -300), (" MST", -420), (" MDT", -360),
        (" PST", -480), (" PDT", -420), (" CET", 60), (" CEST", 120), (" BST", 60), (" JST", 540),
        ("+05:30", 330), ("-0500", -300), ("-05", -300), ("UTC+2", 120), ("gmt-1", -60), ("+14:00", 840),
        ("+14:59", 899), ("+15:00", None), ("+05:60", None), ("+5:3", None),
        (" US/Eastern", "America/New_York"), (" ET", "America/New_York"), (" CT", "America/Chicago"),
        (" PT", "America/Los_Angeles"), (" Europe/Berlin", "Europe/Berlin"), (" [Asia/Tokyo]", "Asia/Tokyo"),
        ("-05:00[America/New_York]", -300), ("-05:00 (EST)", -300), (" Mars/Olympus", None), ("x", None),
    ],
)  # fmt: skip
def test_what_a_suffix_says_of_the_zone(suffix: str, minutes: str | int | None) -> None:
    assert zone_of(suffix) == minutes


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2025-01-02T14:30:00Z", Form("%Y-%m-%d", "T", "%H:%M:%S", "Z")),
        ("2025-01-02 14:30:00.123 +01:00", Form("%Y-%m-%d", " ", "%H:%M:%S%.f", " +01:00")),
        ("2025/1/2, 9:30 AM", Form("%Y/%m/%d", ", ", "%I:%M %p", "")),
        ("2025.01.02 09:30", Form("%Y.%m.%d", " ", "%H:%M", "")),
        ("20250102 093000", Form("%Y%m%d", " ", "%H%M%S", "")),
        ("20250102093000", Form("%Y%m%d", "", "%H%M%S", "")),
        ("202501020930", Form("%Y%m%d", "", "%H%M", "")),
        ("01/02/2025 09:30", Form("{0}/{1}/%Y", " ", "%H:%M", "")),
        ("01.02.25", Form("{0}.{1}.%y", "", "", "")),
        ("02-Jan-2025 09:30", Form("%d-%b-%Y", " ", "%H:%M", "")),
        ("2 January 2025", Form("%d %B %Y", "", "", "")),
        ("Thu, Jan 2, 2025 9:30AM", Form("%a, %b %d, %Y", " ", "%I:%M%p", "")),
        ("Thu Jan 2 2025", Form("%a %b %d %Y", "", "", "")),
        ("09:30:00", Form("", "", "%H:%M:%S", "")),
        ("0930", Form("", "", "%H%M", "")),
        ("09:30 EST", Form("", "", "%H:%M", " EST")),
        (" 09:30", None),
        ("12:30:05:7", None),
        ("2025-01-02x", None),
        ("hello", None),
    ],
)
def test_the_form_of_a_text(text: str, form: Form | None) -> None:
    assert form_of(text) == form


def test_day_and_month_take_their_places_by_the_order() -> None:
    either = Form("{0}/{1}/%Y", " ", "%H:%M", "Z")
    assert (either.format("mdy"), either.format("dmy")) == ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M")
    assert either.is_open
    assert either.shown == "NN/NN/YYYY HH:MMZ"
    assert not Form("%Y-%m-%d", "T", "%I:%M %p", "").is_open
    assert Form("%Y-%m-%d", "T", "%I:%M %p", "").shown == "YYYY-MM-DDThh:MM AM/PM"


@pytest.mark.parametrize(
    ("name", "known"), [("America/New_York", True), ("UTC", True), ("New York", False), ("../etc", False), ("", False)]
)
def test_a_zone_is_one_of_the_iana_database(name: str, known: bool) -> None:
    assert is_zone(name) is known
