"""The runbook of the bands names every kind of fault, metric and field of the log, and settings that there are."""

import ast
import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from timegpt_assets.adapters.tollama.answers import Kind
from timegpt_assets.config.schema import field_at
from timegpt_assets.core.tsfm import reasons
from timegpt_assets.core.tsfm.figures import MEANING
from timegpt_assets.serving.tsfm import logs
from timegpt_assets.serving.tsfm.metrics import Metrics
from timegpt_assets.serving.tsfm.promises import MEASURES
from timegpt_assets.serving.tsfm.windows import Window
from timegpt_assets_tests.project import PROJECT

PAGE = (PROJECT / "docs" / "tsfm-ops-runbook.md").read_text(encoding="utf-8")
INCIDENTS = set(re.findall(r"^\*\*([^*]+)\.\*\*", PAGE, re.M))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_way_in_which_a_model_fails_has_its_remedy(kind: str) -> None:
    assert f"`{kind}`" in PAGE


def test_what_a_reader_is_sent_to_is_there() -> None:
    sent_to = set(re.findall(r"(?<![*\w])\*([A-Z0-9][^*]+)\*(?!\*)", PAGE))
    assert sent_to
    assert sent_to <= INCIDENTS


def test_the_incidents_that_are_asked_for_stand_there() -> None:
    asked = "Server down|401|Licence|Not installed|Slow|Crossing|Empty markets|Disk full under the parameter store"
    assert {*asked.split("|"), "Degraded", "Rollback", "Clock"} <= INCIDENTS


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tsfm(?:\.[a-z_0-9]+)+)`", PAGE))
    assert len(named) > 15
    assert [key for key in named if field_at(tuple(key.split("."))) is None] == []


def test_every_metric_that_prometheus_reads_is_explained() -> None:
    made = Metrics(Window(600, lambda: 0.0), dict.fromkeys(MEASURES, 1.0), dict)
    names = set(re.findall(r"^# TYPE (\S+)", made.exposition().decode(), re.M))
    told = {name for name in names if not name.endswith("_created")} | set(MEANING)
    assert len(told) > 10
    assert [name for name in sorted(told) if name not in PAGE] == []


def test_every_field_of_the_log_is_named() -> None:
    tree = ast.parse(inspect.getsource(logs.answered))
    (fields,) = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    names = [key.value for key in fields.keys if isinstance(key, ast.Constant)]
    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_warning_of_an_answer_is_explained() -> None:
    sources = [*Path(inspect.getfile(logs)).parent.glob("*.py"), Path(inspect.getfile(reasons))]
    names = set(re.findall(r'"([a-z]+_[a-z]+): ', "".join(file.read_text(encoding="utf-8") for file in sources)))
    assert {"volume_unknown", "input_trimmed", "conformal_old", "rollout_unreadable"} <= names
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []
