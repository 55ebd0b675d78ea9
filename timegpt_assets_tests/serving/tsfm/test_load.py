"""Under load nobody is left without an answer while the model server dies ten times, and memory stays what it was."""

from collections.abc import Iterator

import pytest

from timegpt_assets_tests.benchmarks.tsfm_load import KILLS, ModelServer, grown, killed

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1800)]


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """Yield a model server that answers at once, in a process of its own."""
    server = ModelServer(5)
    yield server
    server.kill()


def test_everybody_is_answered_while_the_model_server_dies_and_by_it_when_it_is_back(model: ModelServer) -> None:
    found = killed(model)
    assert {status for _, status, _ in found} == {200}
    reasons = [meta["fallback_reason"] for _, _, meta in found]
    assert sum(reason is not None for reason in reasons) >= KILLS, "it was away"
    assert reasons[-5:] == [None] * 5


def test_memory_is_flat_over_ten_thousand_requests(model: ModelServer) -> None:
    found, before, after = grown(model)
    assert {status for _, status, _ in found} == {200}
    assert after < 1.1 * before + 10
