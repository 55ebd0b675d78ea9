"""The scorecard: a review that says all it is asked, or is refused with what is missing."""

from pathlib import Path

import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.scorecard import scorecard

WHOLE = """\
economic_rationale: {grade: strong, why: scaled by volatility}
market_realism: {grade: strong, why: costs and embargo}
parsimony: {grade: moderate, why: few variables}
overfit_risk: {grade: strong, why: gates}
score: 8.6
"""


def test_the_seed_s_scorecard_is_read(tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    file.write_text(WHOLE)
    found = scorecard(file)
    assert (found.score, found.parsimony.grade, found.parsimony.why) == (8.6, "moderate", "few variables")


@pytest.mark.parametrize(("text", "said"), [
    (WHOLE.replace("score: 8.6", "score: 11"), "score = 11"),
    (WHOLE.replace("strong", "superb", 1), "economic_rationale.grade = 'superb'"),
    (WHOLE.replace("score: 8.6\n", ""), "score = "),
    (WHOLE + "luck: great\n", "luck = 'great'"),
    (WHOLE.replace("few variables", "''"), "parsimony.why = ''"),
    ("[]", "scorecard = []"),
    ("{a: b", "scorecard = "),
    ("", "scorecard = None"),
])  # fmt: skip
def test_what_it_does_not_say_is_named_with_the_remedy(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "card.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        scorecard(file)
    assert said in str(refused.value)
    assert str(refused.value).count("Mend the file, or promote without --scorecard.") == len(refused.value.faults) >= 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: scorecard = .* Mend the file"):
        scorecard(tmp_path / "nowhere.yaml")
