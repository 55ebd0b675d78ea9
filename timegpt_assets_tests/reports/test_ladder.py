"""The model ladder in a report: the verdict first, figures as in the frames, and silence where no rung is seated."""

from dataclasses import replace

import polars as pl

from timegpt_assets.core.tables.models import FEATURE_DRIFT, MODEL_REPORT
from timegpt_assets.reports import ladder
from timegpt_assets.reports.figures import Report, summary_rows
from timegpt_assets.reports.ladder import Ladder
from timegpt_assets.reports.markdown import report_text
from timegpt_assets.reports.page import page
from timegpt_assets_tests.reports.pictures import ladders
from timegpt_assets_tests.reports.test_page import HOSTILE, _Page
from timegpt_assets_tests.reports.test_page import report as report

OWN = ladders.ladder()


def unproven(stage: str, against: str = "ridge") -> Ladder:
    """Return a ladder whose tree is not better than one judge in one stage."""
    worse = (pl.col("against") == against) & (pl.col("stage") == stage)
    return replace(OWN, report=OWN.report.with_columns(better=pl.col("better") & ~worse))


def test_the_verdict_names_who_is_better_than_which_control_arm_or_that_nobody_is() -> None:
    assert ladder.verdict(OWN) == (
        "lightgbm is proven better than the control arm (ridge, settings 5e77ed), in validation and on sessions never "
        "shown, and in validation than the same bands with nothing learnt."
    )
    for stage in ("validation", "forward"):
        assert ladder.verdict(unproven(stage)).startswith("No rung is proven better than the control arm (ridge")
    assert ladder.verdict(unproven("validation", "unlearnt")).startswith("No rung is proven"), "more rows, no more"
    assert "lightgbm is" in ladder.verdict(unproven("forward_raw")), "as answered decides nothing"
    assert "Nothing is measured" in ladder.verdict(replace(OWN, report=MODEL_REPORT.empty()))


def test_the_basis_says_how_many_sessions_it_rests_on() -> None:
    assert "At most 10 sessions of validation, 40 sessions of months not shown" in ladder.basis(OWN)


def test_the_table_begins_at_the_lowest_rung_and_shows_ratios_with_their_intervals() -> None:
    lines = ladder.table(OWN)
    assert [line[:3] for line in lines[:2]] == [("ridge", "zero", "validation"), ("ridge", "zero", "forward")]
    assert len(lines) == 2 * (1 + 2 + 3 + 3) + 3
    assert len(ladder.table(OWN, every=True)) == OWN.report.height
    own = next(line for line in lines if line[:3] == ("lightgbm", "ridge", "forward"))
    assert own[3:8] == (1200, 40, "0.9700 [0.958, 0.982]", "0.003", "1.0000 [0.998, 1.002]")
    assert own[8:] == (-12.5, "2.00%", "better")
    assert ("blend", "tsmixer") in [line[:2] for line in lines]
    assert ("blend", "lightgbm") not in [line[:2] for line in lines], "the rung below and not the one below it"


def test_sources_are_told_where_a_rung_has_several() -> None:
    live = OWN.report.filter(stage="forward").with_columns(data_regime=pl.lit("prod_live"))
    several = [line[2] for line in ladder.table(replace(OWN, report=pl.concat([OWN.report, live])))]
    assert {"validation", "forward (baseline, prod_live)", "forward (baseline, maintenance_replay)"} == set(several)


def test_the_page_says_the_verdict_before_the_table_and_draws_drift_worth_and_rollout(report: Report) -> None:
    html = page(replace(report, ladder=OWN))
    parsed = _Page(html)
    assert not parsed.open
    section = html[html.index('<section id="model-ladder">') :]
    section = section[: section.index("</section>")]
    assert section.index("is proven better") < section.index("<svg") < section.index("<table")
    assert section.count("<svg role") == 4
    for words in ("2 of 18 features drifted", "What each feature brought", "Traded now: lightgbm 0 %", "rolled back"):
        assert words in section
    assert "training 2.2 s; a snapshot of all symbols 3.4 ms" in section
    assert "training not noted" in section
    assert len(html) < 2_000_000


def test_markdown_and_rows_say_the_same(report: Report) -> None:
    told = replace(report, ladder=OWN)
    text, rows = report_text(told), summary_rows(told)
    assert f"**{ladder.verdict(OWN)}**" in text
    assert text.count("| better ") == sum(line[-1] == "better" for line in ladder.table(OWN))
    assert "Features that drifted" in text
    assert ("ladder", "verdict", ladder.verdict(OWN)) in rows
    assert ("ladder", "features drifted", "2 of 18") in rows
    names = [row[:2] for row in rows]
    assert len(names) == len(set(names))


def test_where_no_rung_is_seated_nothing_is_said_of_a_ladder(report: Report) -> None:
    assert "Model ladder" not in page(report)
    assert "Model ladder" not in report_text(report)
    assert not [row for row in summary_rows(report) if row[0] == "ladder"]


def test_a_ladder_without_a_rollout_and_without_drift_says_so(report: Report) -> None:
    html = page(replace(report, ladder=Ladder(report=OWN.report, drift=FEATURE_DRIFT.empty())))
    assert "No challenger is in rollout" in html
    assert ">no rows<" in html


def test_words_of_who_records_stay_text(report: Report) -> None:
    hostile = replace(OWN, rollout=[replace(one, why=HOSTILE, who=HOSTILE) for one in OWN.rollout])
    assert not _Page(page(replace(report, ladder=hostile))).open
    assert HOSTILE not in page(replace(report, ladder=hostile))
