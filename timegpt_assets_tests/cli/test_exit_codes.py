"""Every exit code that is documented is made to happen by a test, which says the code."""

import ast
from pathlib import Path

import pytest

from timegpt_assets.cli.exit_codes import EXIT_CODES

TESTS = Path(__file__).parent
PROVEN = {
    0: ("test_app.py", "test_without_json_a_person_reads_tables_on_standard_output", "exit_code == 0"),
    1: ("test_app.py", "test_what_cannot_be_asked_is_refused_in_one_message", "said(result)"),
    2: ("test_app.py", "test_a_day_that_is_no_date_is_a_usage_error", "exit_code == 2"),
    3: ("test_app.py", "test_evaluate_exits_3_with_one_line_that_names_the_failed_gates", "exit_code == 3"),
    4: ("test_bars.py", "test_a_rule_of_severity_fail_makes_the_exit_code_say_so", "DATA_FAILED"),
    5: ("test_app.py", "test_a_session_that_waits_for_its_bars_is_not_done_and_the_exit_code_says_so", "WAITS"),
    130: ("test_calls.py", "test_a_verb_that_is_interrupted_says_so_in_its_own_words", "== 130"),
}


@pytest.mark.parametrize("code", sorted(EXIT_CODES))
def test_a_test_makes_it_happen_and_says_it(code: int) -> None:
    file, name, words = PROVEN[code]
    text = (TESTS / file).read_text(encoding="utf-8")
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, f"{file} has no {name} any more: name another one that makes exit code {code} happen"
    assert words in (ast.get_source_segment(text, found[0]) or "")
