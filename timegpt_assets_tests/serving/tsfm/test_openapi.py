"""What the OpenAPI document promises is what the running service does, to whatever anybody can send."""

import json
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from timegpt_assets.serving.tsfm.openapi import document
from timegpt_assets.serving.tsfm.service import application
from timegpt_assets_tests.reference_docs import DOCS, REFERENCE
from timegpt_assets_tests.servers.uvicorned import Uvicorned
from timegpt_assets_tests.serving.tsfm.made import Service


@pytest.fixture
def served() -> Iterator[Uvicorned]:
    """Yield a running service whose answers are as long as they are in earnest."""
    with Uvicorned(application(Service().desk)) as served:
        yield served


def test_the_document_in_docs_is_current() -> None:
    stored = json.loads((DOCS / REFERENCE / "tsfm-openapi.json").read_text(encoding="utf-8"))
    assert stored == document(), "run `make docs`"


def test_every_setting_of_a_request_says_what_it_is() -> None:
    for name, field in document()["components"]["schemas"]["ForecastRequest"]["properties"].items():
        assert field.get("description") or name in ("transform", "model"), name


def test_the_running_service_keeps_the_document(served: Uvicorned, repetitions) -> None:
    """Schemathesis sends what the document allows, and what it does not; examples are the same in every run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports' deprecations
        import schemathesis
        from schemathesis.specs.openapi import checks

        schema = schemathesis.openapi.from_dict(document())
    kept = (
        schemathesis.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    )
    once = settings(
        max_examples=repetitions(800),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    statuses = set()
    for path, method in (("/tsfm/forecast", "POST"), ("/readyz", "GET"), ("/metrics", "GET"), ("/healthz", "GET")):
        for mode in schemathesis.GenerationMode if method == "POST" else [schemathesis.GenerationMode.POSITIVE]:

            @once
            @given(case=schema[path][method].as_strategy(generation_mode=mode))
            def keeps(case: "schemathesis.Case") -> None:
                response = case.call(base_url=served.url)
                statuses.add(response.status_code)
                case.validate_response(response, checks=kept)

            keeps()
    assert {200, 422} <= statuses
