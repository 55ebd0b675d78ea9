"""What the second system is made with, of settings: every setting of the model server reaches it."""

from pathlib import Path

import pytest

from timegpt_assets.adapters.tollama.answers import ModelFailed
from timegpt_assets.runtime_tsfm import breaker, tollama
from timegpt_assets_tests.adapters.tollama.askers import forecast
from timegpt_assets_tests.roads import load_runtime
from timegpt_assets_tests.servers.tollama import TollamaServer, refusal


def test_the_model_server_is_asked_as_the_settings_say(tmp_path: Path) -> None:
    with TollamaServer(models={"chronos2": "abc"}) as server:
        runtime = load_runtime(
            tmp_path,
            f"tsfm.tollama.base_url={server.url}",
            "tsfm.tollama.retry_count=2",
            "tsfm.tollama.retry_backoff_ms=1",
            "tsfm.tollama.retry_jitter_ms=0",
            "tsfm.model.params.num_samples=7",
            "tsfm.series.horizon_steps=6",
        )
        one = tollama(runtime)
        assert forecast(one).values
        assert server.questions[0]["options"] == {"num_samples": 7}
        server.faults += [refusal(503, "no")] * 9
        with pytest.raises(ModelFailed):
            forecast(one)
        assert len(server.asked) == 1 + 3
        server.faults.clear()
        assert one.warm_up().healthy
        assert (server.questions[-1]["horizon"], server.questions[-1]["timeout"]) == (6, 20.0)
        assert one.probe().healthy
        assert server.questions[-1]["timeout"] == 2.0
        assert forecast(one).model_version == "abc"


def test_a_key_that_must_be_there_is_looked_up_when_something_is_asked(tmp_path: Path) -> None:
    one = tollama(load_runtime(tmp_path, "tsfm.tollama.auth_mode=bearer_required"))
    with pytest.raises(ModelFailed, match=r"TOLLAMA_API_KEY is not set.*auth_mode=bearer_optional"):
        forecast(one)


def test_the_breaker_opens_as_the_settings_say(tmp_path: Path) -> None:
    one = breaker(load_runtime(tmp_path, "tsfm.breaker.failures=2"))
    one.failed()
    assert one.allow()
    one.failed()
    assert not one.allow()
