"""Which version of a model a server has, in its list of what is installed.

Belongs here: reading that list.
"""

import json

from timegpt_assets.adapters.tollama.answers import cleaned, failed


def version_in(body: bytes, model: str) -> str | None:
    """Return the digest that the list tells of a model, None where it tells none. Raises ModelFailed."""
    try:
        told = json.loads(body)["models"]
        of_model = [one.get("digest") for one in told if one.get("name") == model]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise failed("invalid_response", "The model server's list of its models cannot be read") from None
    if not of_model:
        raise failed("not_installed", f"The model server has no {model}")
    digest = of_model[0]
    return cleaned(digest) if isinstance(digest, str) and digest.strip() else None
