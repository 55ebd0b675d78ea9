"""How well labelled headlines are linked: goals kept, tables shown as measured, samples drawn by their rule."""

import pytest

from timegpt_assets.core.news.link import CONFIDENCE
from timegpt_assets_tests import linking_samples
from timegpt_assets_tests.core.bars.bars_factory import needs_real_data
from timegpt_assets_tests.linking_samples import Measured, by_method, every, headlines, labels, sampled, tables
from timegpt_assets_tests.project import PROJECT

pytestmark = needs_real_data
PRECISION, RECALL = 0.95, 0.80


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    """Return every sample's measure."""
    return every()


def test_companies_are_linked_as_precisely_and_as_often_as_asked(measured):
    for name, one in measured.items():
        if name.startswith(("US", "SemEval")) and not name.endswith("alone"):
            assert (one.precision >= PRECISION, one.recall >= RECALL) == (True, True), (name, one.confused, one.missed)


def test_by_the_labels_alone_as_many_are_found(measured):
    alone = measured["SemEval, other half, by its own labels alone"]
    assert alone.recall >= RECALL
    assert alone.right.total() > 500


def test_a_link_is_worth_no_more_than_was_measured(measured):
    for method, (right, wrong) in by_method(measured).items():
        assert CONFIDENCE[method] <= right / (right + wrong), method


def test_the_page_shows_what_is_measured(measured, monkeypatch):
    monkeypatch.setattr(linking_samples, "every", lambda: measured)
    assert tables() in (PROJECT / "docs" / "explanation" / "news.md").read_text()


@pytest.mark.parametrize(("sample", "companies"), [("us_2018", 120), ("us_later", 100)])
def test_a_sample_is_drawn_by_its_rule_and_most_of_it_names_a_company(sample, companies):
    texts = headlines()
    assert set(labels(sample)) == set(sampled(sample, texts))
    assert sum(any(about[0] not in "=~" for about in found) for found in labels(sample).values()) >= companies
