"""Whom requests go to: the provider's address, and the name by which cache and ledger know a host."""

import httpx

PROVIDER_URL = "https://api.nixtla.io"


def host(base_url: str) -> str:
    """Return the provider's host, with its port unless it is the usual one: what cache and ledger are keyed by."""
    return httpx.URL(base_url).netloc.decode()
