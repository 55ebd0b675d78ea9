"""The fitness scorecard: a person's review of a strategy, kept with its promotion. No criterion reads it.

Belongs here: what a scorecard file says and how it is read. Its four questions and the score are the seeds'.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from timegpt_assets.config import files
from timegpt_assets.config.base import Section
from timegpt_assets.config.errors import ConfigError, Fault
from timegpt_assets.config.yaml_text import plain_value

Words = Annotated[str, Field(min_length=1)]


class Answer(Section):
    """How well a question is answered, and why."""

    grade: Literal["strong", "moderate", "weak"]
    why: Words


class Scorecard(Section):
    """A review: economic rationale, market realism, parsimony, overfit risk, and the fitness score of all, 0 to 10."""

    economic_rationale: Answer
    market_realism: Answer
    parsimony: Answer
    overfit_risk: Answer
    """How well it is controlled: strong is little risk."""
    score: Annotated[float, Field(ge=0, le=10)]


def scorecard(path: Path) -> Scorecard:
    """Return the scorecard of a YAML file. Raises ConfigError, a line for each fault."""
    said = {"file": str(path), "remedy": "Mend the file, or promote without --scorecard."}
    try:
        found: Any = plain_value(files.text(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([Fault(key="scorecard", value=str(error), allowed="YAML in UTF-8", **said)]) from error
    try:
        return Scorecard.model_validate(found)
    except ValidationError as error:
        allowed = ", ".join(Scorecard.model_fields)
        raise ConfigError(
            Fault(
                key=".".join(map(str, one["loc"])) or "scorecard",
                value=one["input"],
                allowed=f"{allowed}: {one['msg']}",
                **said,
            )
            for one in error.errors()
        ) from error
