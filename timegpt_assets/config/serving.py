"""Sections of the TSFM runner, which has its own provider, and of structured logs.

Belongs here: tsfm, logging. What each key means stands in configs/<section>.yaml.
"""

from typing import Annotated, Literal

from pydantic import Field

from timegpt_assets.config.base import PLACE, Name, Section


class TsfmModel(Section):
    """Which model the runner asks for."""

    provider: Literal["tollama"]
    model_name: Name
    model_version: Name


class Tsfm(Section):
    """Where the runner's models are served and how it introduces itself."""

    model: TsfmModel
    base_url: Annotated[str, Field(pattern=r"^https?://[^/]+"), PLACE]
    auth_mode: Literal["bearer_optional", "bearer_required", "none"]
    x_request_id: Literal["required", "optional"]


class Logging(Section):
    """Fields of structured log lines."""

    tsfm_fields: Annotated[tuple[Name, ...], Field(min_length=1)]
