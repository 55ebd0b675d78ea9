"""The verb's alerts and rollout: what a person reads and does, step by step, and what is refused with what helps."""

import json
from datetime import timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets.cli.exit_codes import GATES_FAILED
from timegpt_assets.core.tables.tsfm import ALERTS
from timegpt_assets.core.tsfm.alerts import AlertSpec, alerts
from timegpt_assets_tests.automation.test_tsfm_rollout import House, later
from timegpt_assets_tests.core.tsfm.band_rows import band, bands, series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, at, market, markets

SPEC = AlertSpec(
    horizon_step=1, open_interest_change_max=-0.15, volume_velocity_min=2.0, ambiguity_max=0.35, cooldown_s=900.0
)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(tmp_path / "house")
    monkeypatch.setattr("timegpt_assets.runtime.load_runtime", lambda *_, **__: made.runtime)
    monkeypatch.setenv("COLUMNS", "300")
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["tsfm", *words])


def said(result: Result) -> str:
    return " ".join(result.output.split())


def rang(house: House) -> pl.DataFrame:
    """Store a day of two alerts and the day after it without any; return the first one's."""
    rows = bands(
        band("m1", band_source="tsfm_conformal"),
        band("m2", minutes=5, band_source="baseline", fallback_used=True, reason="tollama_error:timeout"),
    )
    prices = pl.concat([series([(0.0, 0.7)], "m1"), series([(5.0, 0.3)], "m2")])
    told = markets(*(market(name, minutes=-5) for name in ("m1", "m2")))
    found = alerts(rows, prices, told, NOON.date(), SPEC)
    house.rollout.store.write("tsfm/alerts", NOON.date(), found, facts={"*": {}})
    house.rollout.store.write("tsfm/alerts", later(1), ALERTS.empty(), facts={"*": {}})
    return found


def test_without_any_day_the_feed_says_how_one_comes(house: House) -> None:
    assert said(run("alerts")) == "no day has alerts yet. Make one: timegpt-assets tsfm cycle"
    assert run("alerts", "--json").output == ""


def test_alerts_are_told_oldest_first_with_their_band_and_who_made_it(house: House) -> None:
    rang(house)
    table = run("alerts", "--day", str(NOON.date()))
    assert table.exit_code == 0, table.output
    first, second = (line for line in table.output.splitlines() if "FYI" in line)
    assert [word for word in ("12:00", "m1", "0.700", "0.400-0.600", "tsfm_conformal") if word not in first] == []
    assert [word for word in ("12:05", "m2", "0.300", "baseline", "tollama_error:timeout") if word not in second] == []
    assert said(run("alerts")) == f"no alerts on {later(1)}.", "the newest day, which is quiet"


def test_alerts_as_json_are_a_line_each_with_their_evidence(house: House) -> None:
    stored = rang(house)
    lines = [json.loads(line) for line in run("alerts", "--day", str(NOON.date()), "--json").stdout.splitlines()]
    assert [(line["market_id"], line["side"], line["band_source"], line["fallback_used"]) for line in lines] == [
        ("m1", "above", "tsfm_conformal", False),
        ("m2", "below", "baseline", True),
    ]
    assert [line["ts"] for line in lines] == [at(0).isoformat(), at(5).isoformat()]
    assert lines[0]["evidence"] == json.loads(stored["evidence"][0])
    assert lines[0]["evidence"]["unknown"] == ["open_interest_change", "volume_velocity", "ambiguity"]


def test_a_rollout_is_begun_goes_on_by_evidence_alone_and_is_taken_back_by_hand(house: House) -> None:
    assert "in no rollout: every market has the baseline's. Begin with: timegpt-assets tsfm rollout start" in said(
        run("rollout")
    )
    assert json.loads(run("rollout", "status", "--json").stdout) == {"phase": None}
    assert said(run("rollout", "start")).startswith(
        "the bands of the model are in shadow from the next UTC day on: 0 %"
    )
    refused = run("rollout", "advance")
    assert refused.exit_code == GATES_FAILED
    assert "not advanced: for canary is missing: days: 0 finished days in the phase, 3 asked" in said(refused)
    for number in range(3):
        house.finish(later(number), true=1.0)
    told = json.loads(run("rollout", "status", "--json").stdout)
    assert (told["phase"], told["next"], told["days"]) == ("shadow", "canary", [str(later(n)) for n in range(3)])
    assert [row["passed"] for row in told["criteria"]] == [True, True, True]
    entry = json.loads(run("rollout", "advance", "--reason", " it holds ", "--json").stdout)
    assert (entry["phase"], entry["share"], entry["why"]) == ("canary", 10, "it holds")
    assert said(run("rollout")).startswith("canary, 10 % of markets, since ")
    silent = run("rollout", "rollback", "--reason", "  ")
    assert silent.exit_code == 1
    assert "--reason is empty. Say why, for the record." in said(silent)
    back = run("rollout", "rollback", "--reason", "a doubt")
    assert "in shadow at once: 0 % of markets" in said(back)
    assert house.rollout.record.entries()[-1]["why"] == "a doubt"


def test_a_rollback_stands_in_the_feed_of_its_day(house: House) -> None:
    rang(house)
    told = {"phase": "shadow", "who": "me", "why": "a doubt", "evidence": {"n": 1}}
    for what, minutes in (("start", 1), ("rollback", 2)):
        clock = partial(at, minutes)
        house.rollout.record.add(what, forecaster="tsfm", share=0, allowed=lambda known: None, clock=clock, **told)
    table = said(run("alerts", "--day", str(NOON.date())))
    assert table.endswith("12:02 the bands of the model were taken back to shadow by me: a doubt")
    lines = [json.loads(line) for line in run("alerts", "--day", str(NOON.date()), "--json").stdout.splitlines()]
    assert lines[1] == told | {"what": "rollback", "ts": at(2).isoformat()}, "between the alerts of 12:00 and 12:05"
    assert said(run("alerts")) == f"no alerts on {later(1)}.", "and in that of no other"


def test_a_person_may_have_the_breaches_judged_now(house: House) -> None:
    assert said(run("rollout", "judge")) == "no market has the model's band: nothing to judge."
    run("rollout", "start")
    for number in range(3):
        house.finish(later(number), true=1.0)
    run("rollout", "advance")
    house.finish(later(4), true=1.0)
    assert json.loads(run("rollout", "judge", "--json").stdout)["judged"].startswith("1 days judged. Precision holds")
    house.finish(later(5), true=0.2)
    house.finish(later(6), true=0.2)
    assert said(run("rollout", "judge")).startswith(f"the bands of the model are taken back to shadow. {later(6)}: ")
    assert house.rollout.record.entries()[-1]["evidence"]["fired"] is True


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("rollout", "advance"), "are in no rollout. Begin it with: timegpt-assets tsfm rollout start"),
        (("rollout", "rollback", "--reason", "x"), "are in no rollout. Begin it with"),
    ],
)
def test_a_step_of_no_rollout_is_refused_with_what_helps(house: House, words: tuple[str, ...], what: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert what in said(result)


def test_from_where_it_stands_it_is_neither_begun_again_nor_taken_back(house: House) -> None:
    house.now -= timedelta(hours=1)
    run("rollout", "start")
    for step, what in (("start", "its rollout has begun: in shadow"), ("rollback", "the rollout is in shadow")):
        result = run("rollout", step, "--reason", "x")
        assert result.exit_code == 1
        assert what in said(result)
    assert len(house.rollout.record.entries()) == 1
