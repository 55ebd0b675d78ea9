"""An address as it may be shown and stored: without names, passwords and keys.

Belongs here: which parts of an address are secrets.
"""

import re
from urllib.parse import urlsplit

_SECRET = re.compile(
    r"(?:[\w-]*[_-])?(?:api_?key|key|token|secret|password|passwd|pwd|sig|signature|auth|session(?:_?id)?)",
    re.IGNORECASE,
)


def shown(url: str) -> str:
    """Return the address on one line without user, password and parameters named as secrets are; others stay as is."""
    plain = "".join(url.encode("utf-8", "replace").decode().split())
    if "?" not in plain and "@" not in plain:
        return plain
    try:
        parts = urlsplit(plain)
    except ValueError:  # half a bracket: no address, and nothing in it leads anywhere
        return plain
    kept = "&".join(one for one in parts.query.split("&") if not _SECRET.fullmatch(one.partition("=")[0]))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=kept).geturl() if parts.netloc else plain
