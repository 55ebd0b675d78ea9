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


def bomb(levels: int) -> str:
    """Return a text of some hundred bytes whose aliases unfold to ten to the power of its levels."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(9), "aliases unfold to more than 100,000 values"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {b: *a}", "holds itself"),
        ("[" * 5_000 + "]" * 5_000, "nested too deeply"),
        ("a: " + "9" * 6_000, "limit"),
    ],
    ids=["bomb", "loop", "loop of keys", "depth", "digits"],
)
def test_a_text_that_would_take_all_memory_is_refused(text: str, said: str) -> None:
    assert len(text) < 11_000
    with pytest.raises(yaml.YAMLError, match=said):
        plain_value(text)


def test_aliases_within_bounds_are_what_they_stand_for() -> None:
    assert plain_value("a: &a [1, 2]\nb: {c: *a, d: *a}") == {"a": [1, 2], "b": {"c": [1, 2], "d": [1, 2]}}
