"""The service as OpenAPI describes it: made of the contract, the same whatever the settings.

Belongs here: paths, statuses and headers; every shape is contract.py's own schema.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from timegpt_assets.serving.tsfm.contract import ForecastRequest, ForecastResponse, Refusal

TITLE, VERSION = "TSFM bands", "1"
_REF = "#/components/schemas/{model}"
REFUSALS = {
    "401": "The bearer token is absent or wrong.",
    "413": "The body is too long.",
    "415": "The body is not said to be JSON.",
    "422": "The request is wrong: each fault with its place and what helps.",
    "503": "Not even a baseline could answer.",
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    models: list[tuple[type[BaseModel], Any]] = [
        (ForecastRequest, "validation"),
        (ForecastResponse, "serialization"),
        (Refusal, "serialization"),
    ]
    _, schemas = models_json_schema(models, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": {
            "/tsfm/forecast": {"post": _forecast()},
            "/healthz": {"get": _plain("The process runs.", "application/json")},
            "/readyz": {"get": _plain("Requests are answered, and by whom.", "application/json")},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _forecast() -> dict[str, Any]:
    return {
        "summary": "Bands of one market's price, a step at a time",
        "operationId": "forecast",
        "security": [{"bearer": []}, {}],
        "requestBody": {"required": True, "content": _content(ForecastRequest)},
        "responses": {
            "200": {"description": "The forecast.", "content": _content(ForecastResponse)},
            **{code: {"description": told, "content": _content(Refusal)} for code, told in REFUSALS.items()},
        },
    }


def _metrics() -> dict[str, Any]:
    found = _plain("What Prometheus reads.", "text/plain")
    found["responses"]["401"] = {"description": REFUSALS["401"], "content": _content(Refusal)}
    return found | {"security": [{"bearer": []}, {}]}


def _plain(told: str, kind: str) -> dict[str, Any]:
    schema = {"type": "string"} if kind == "text/plain" else {"type": "object"}
    return {"summary": told, "responses": {"200": {"description": told, "content": {kind: {"schema": schema}}}}}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
