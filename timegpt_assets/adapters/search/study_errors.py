"""What goes wrong with a study, and the name of its secret: what every file of the room says and none of it does."""

from timegpt_assets.core.explained import Explained

URL = "TIMEGPT_ASSETS_SEARCH_URL"
"""The environment's variable that holds PostgreSQL's address: a secret, which is said nowhere."""


class StudyError(Explained, RuntimeError):
    """Raised when a study cannot go on; names it, the cause and the remedy."""


class WorkerLost(RuntimeError):
    """Raised when a process that sweeps is gone; says how it ended and the remedy."""
