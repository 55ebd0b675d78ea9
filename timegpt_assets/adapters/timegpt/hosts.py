"""Whom requests go to: the provider's address, and the name by which cache and ledger know a host."""

from urllib.parse import urlsplit

PROVIDER_URL = "https://api.nixtla.io"
_USUAL_PORTS = {"http": 80, "https": 443}


def host(base_url: str) -> str:
    """Return the provider's host, with its port unless it is the usual one: what cache and ledger are keyed by."""
    parts = urlsplit(base_url)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"
