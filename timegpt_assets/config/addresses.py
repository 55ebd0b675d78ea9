"""Addresses of forecasting servers: parsed, never searched, and judged by the name they are then asked under.

Belongs here: the provider's address, the name of a host, and what makes an address unfit. A key goes to nobody but
the host that was judged, over a line that nobody reads.
"""

import ipaddress
import re
from urllib.parse import urlsplit

PROVIDER_URL = "https://api.nixtla.io"
PROVIDER_HOST = "api.nixtla.io"
_USUAL_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


def host(base_url: str) -> str:
    """Return the host, with its port unless it is the usual one: what cache, ledger and trust are keyed by."""
    parts = urlsplit(base_url)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def is_loopback(base_url: str) -> bool:
    """Return whether the address is this machine's own."""
    name = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def unfit(base_url: str) -> tuple[str, str] | None:
    """Return what is allowed and the remedy for an address that a key must not be sent to, None for a fit one."""
    if not re.match(r"https?://[^/]+", base_url):
        return "null or an http(s) address", "Write it like http://127.0.0.1:8080, or null for the provider."
    try:
        parts = urlsplit(base_url)
        # Only asking for the port refuses a wrong one; urlsplit itself takes anything.
        _ = parts.port
    except ValueError:
        return "an address with a port from 1 to 65535", "Write it like http://127.0.0.1:8080."
    if "@" in parts.netloc:
        return "an address without user or password", "Take them out: a key comes from the environment alone."
    if parts.query or parts.fragment:
        return "an address without ? and #", "End it with the host, its port or a path."
    name = parts.hostname or ""
    if not (_NAME.fullmatch(name) or (":" in name and _is_ip(name))):
        return "a host of plain letters, digits, dots and dashes", "Write the host as the provider does."
    if parts.scheme != "https" and not is_loopback(base_url):
        return "https, or a server of this machine", "Write https://: the API key would be sent for all to read."
    return None


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
