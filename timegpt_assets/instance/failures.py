"""How an explained error ends a step in the UI: by its own sentence, with no trace under it.

Belongs here: an exception that Dagster shows as a sentence alone, for the errors that somebody can mend. Any other is a
fault of the code: Dagster wraps it in one of its own, and the traces it shows are wanted.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from timegpt_assets.core.explained import Explained

Asked = ParamSpec("Asked")
Given = TypeVar("Given")


class _Sentence(DagsterUserCodeProcessError):
    """The error of a process that can no longer be asked: of the kinds Dagster shows, the one without a trace."""

    def __init__(self, said: str) -> None:
        """Keep the sentence as all there is to show."""
        shown = SerializableErrorInfo(message=f"{said}\n", stack=[], cls_name="Failure")
        super().__init__(said, user_code_process_error_infos=[shown])  # type: ignore[no-untyped-call]  # Dagster's own


class Failed(dg.Failure, _Sentence):
    """The failure of a step in one sentence, and what else a person may open; it is never retried by itself."""

    def __init__(self, said: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Keep the sentence and the metadata the UI shows under it."""
        super().__init__(said, metadata=metadata, allow_retries=False)


def said_plainly(function: Callable[Asked, Given]) -> Callable[Asked, Given]:
    """Return the function of a step, whose explained errors the UI shows by their sentence alone."""

    @wraps(function)
    def plain(*args: Asked.args, **kwargs: Asked.kwargs) -> Given:
        try:
            return function(*args, **kwargs)
        except Explained as error:
            raise Failed(str(error)) from None

    return plain
