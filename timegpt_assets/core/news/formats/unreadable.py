"""The refusal of a body that does not say what its source says.

Belongs here: the one error of this room. Whether a server refused to answer is its connector's to judge.
"""

from timegpt_assets.core.explained import Explained


class Unreadable(Explained, ValueError):
    """Raised for bytes that are not what their source delivers; says what and where, and ends with what helps."""
