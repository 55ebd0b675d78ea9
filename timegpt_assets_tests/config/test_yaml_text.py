"""YAML text turns into what was written and nothing else."""

import pytest
import yaml

from timegpt_assets.config.yaml_text import plain_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("15:55", "15:55"),
        ("ON", "ON"),
        ("no", "no"),
        ("true", True),
        ("~", None),
        ("", None),
        ("2025-01-02", "2025-01-02"),
        ("1e-6", 1e-6),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("5", 5),
        ("010", "010"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("[1, a, null]", [1, "a", None]),
        ("{1: a, true: b}", {"1": "a", "True": "b"}),
    ],
)
def test_a_scalar_is_what_was_written(text: str, value: object) -> None:
    found = plain_value(text)
    assert found == value
    assert type(found) is type(value)


def test_a_repeated_key_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="the key a is written twice"):
        plain_value("a: 1\na: 2")


def test_a_tag_builds_nothing() -> None:
    with pytest.raises(yaml.YAMLError):
        plain_value("!!python/object/apply:os.getcwd []")
