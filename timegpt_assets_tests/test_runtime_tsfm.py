"""What the second system is made with, of settings: every setting of the venue and of the model server reaches it."""

from datetime import timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.prediction_markets import polymarket
from timegpt_assets.adapters.prediction_markets.polymarket import Polymarket
from timegpt_assets.adapters.prediction_markets.price_files import PriceFiles
from timegpt_assets.adapters.prediction_markets.tape import Tape
from timegpt_assets.adapters.tollama.answers import ModelFailed
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.runtime_tsfm import breaker, market_days, market_source, tollama
from timegpt_assets_tests.adapters.tollama.askers import forecast
from timegpt_assets_tests.roads import load_runtime
from timegpt_assets_tests.servers.tollama import TollamaServer, refusal


def test_the_venue_is_asked_as_its_settings_say(tmp_path: Path) -> None:
    told = load_runtime(tmp_path, "tsfm.markets.clob_url=http://127.0.0.1:9", "tsfm.markets.max_candidates=7")
    source, kept = market_source(told), market_days(told)
    assert isinstance(source, Polymarket)
    assert (source.clob_url, source.gamma_url, source.data_url) == (
        "http://127.0.0.1:9",
        polymarket.GAMMA,
        polymarket.DATA,
    )
    assert (source.max_candidates, source.fidelity_min, source.live) == (7, 5, True)
    asked = told.settings.tsfm.markets
    assert (source.ask.timeout_s, source.ask.budget_s) == (asked.timeout_s, asked.budget_s)
    assert isinstance(kept, Tape)
    assert kept.cycle == timedelta(minutes=5)


def test_files_are_read_where_the_settings_say_and_wanted_where_they_are_named(tmp_path: Path) -> None:
    told = load_runtime(tmp_path, "tsfm.markets.source=files", "tsfm.markets.path=own", "tsfm.markets.known_after_s=60")
    for found in (market_source(told), market_days(told)):
        assert found == PriceFiles(told.path("own"), known_after_s=60.0, cycle_min=5)
        assert isinstance(found, PriceFiles)
        assert not found.live
    with pytest.raises(ConfigError, match=r"tsfm\.markets\.path"):
        load_runtime(tmp_path, "tsfm.markets.source=files")


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
