"""What of an environment may be shown nowhere, and texts without it.

Belongs here: which variables hold secrets, and in which spellings one may come out. What looks like a secret in
settings, whoever's it is, is errors.py.
"""

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from timegpt_assets.config.errors import PLACES, REDACTED, SECRET_KEY

HOLDS_SECRET = re.compile(r"((^|_)(API_?)?KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|_PWD)$", re.IGNORECASE)
"""How the names of variables end whose values are secrets."""
SECRET_ADDRESS = re.compile(r"HOOK(_URL)?$", re.IGNORECASE)
"""How those end whose values are addresses that let in whoever knows them."""
SHORTEST = 4
"""Letters; a shorter secret is in half of all words, and nothing would be left to read."""
_TEXTS = frozenset(
    {"message", "user_message", "text", "description", "url", "stack", "json_str", "data", "skip_reason"}
)
"""Fields of JSON records that hold what people read; in others a short password may be a name that is needed."""


class Redaction:
    """Takes the secrets of one environment out of texts; its repr holds none of them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Keep every spelling of every secret, the longest first: one may be part of another."""
        found = {spelt for secret in secrets(environment) for spelt in _spellings(secret)}
        self._spellings = sorted(found, key=lambda spelt: (-len(spelt), spelt))

    def __call__(self, text: str) -> str:
        """Return the text with ``[REDACTED]`` in the place of each secret."""
        for spelt in self._spellings:
            if spelt in text:
                text = text.replace(spelt, REDACTED)
        return text

    def record(self, text: str) -> str:
        """Return a record, JSON with texts for people in it, without secrets in those texts."""
        if not any(spelt in text for spelt in self._spellings):
            return text  # nearly every one: reading it would take longer than storing it
        return json.dumps(self._within(json.loads(text), shown=False))

    def _within(self, value: object, *, shown: bool) -> object:
        if isinstance(value, str):
            return self(value) if shown else value
        if isinstance(value, list):
            return [self._within(one, shown=shown) for one in value]
        if isinstance(value, dict):
            return {name: self._within(one, shown=name in _TEXTS) for name, one in value.items()}
        return value


def secrets(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the values that are secrets, and the secret parts of addresses; what is too short to be found is left out.

    A variable holds one if its name ends like a secret's, or its value is an address with a password in it.
    """
    found = {value for name, value in environment.items() if HOLDS_SECRET.search(name)}
    for name, value in environment.items():
        found |= set(_of_address(value, whole=bool(SECRET_ADDRESS.search(name))))
    return frozenset(one for one in found if len(one) >= SHORTEST)


def _of_address(value: str, *, whole: bool) -> Iterator[str]:
    """Yield the address where anything in it is secret, and what of it is: its password, what is asked, its path."""
    scheme, marked, rest = value.partition("://")
    if not marked or scheme.lower() in PLACES:
        return
    entering, _, place = rest.rpartition("@")  # a password may hold what ends one elsewhere
    password = entering.partition(":")[2]
    asked = [one.partition("=") for one in place.partition("?")[2].replace("#", "&").split("&")]
    inside = [password, *(given for name, _, given in asked if SECRET_KEY.search(name))]
    if whole:
        inside += [place.partition("/")[2], place.rpartition("/")[2]]
    if any(inside):
        yield value
        yield from filter(None, inside)


def _spellings(secret: str) -> Iterator[str]:
    """Yield the secret as it is, as an address, a JSON text and a repr write it, and without the blanks around it."""
    for spelt in {secret, secret.strip(), unquote(secret)}:
        yield spelt
        yield quote(spelt, safe="")
        yield json.dumps(spelt)[1:-1]
        yield json.dumps(spelt, ensure_ascii=False)[1:-1]
        yield repr(spelt)[1:-1]
