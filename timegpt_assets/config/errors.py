"""What a faulty configuration says, and how secrets are kept out of what is said.

Belongs here: the fault, the error that carries all faults of a load, and redaction. Nothing here reads files.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from timegpt_assets.core.explained import Explained

REDACTED = "[REDACTED]"
SECRET_KEY = re.compile(r"(api_?key|token|secret|passw|credential|private_?key)", re.IGNORECASE)
PUBLIC_KEY = r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
"""How 32 bytes look in base64; what is written under models.public_keys is meant to be seen."""
_SECRET_VALUE = re.compile(
    rf"(?<![A-Za-z0-9+/]){PUBLIC_KEY}(?![A-Za-z0-9+/=])|"  # a private key looks like a public one
    r"(nixak-|nixtla-|sk-|ghp_|github_pat_|xox[abp]-|AKIA|AIza|ya29\.|eyJ)\S{8,}"  # tokens known by how they begin
    r"|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}"  # one long word of letters and digits: no name, date or path
)
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][\w.+-]*)://(?P<rest>[^\s'\"]+)")
_PUBLIC_KEYS = "models.public_keys."
PLACES = ("gs", "file", "sqlite")
"""Schemes of places: what stands before an @ in one is part of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong: where it was written, the key, the value, what is allowed and what to do."""

    file: str
    key: str
    value: object
    allowed: str
    remedy: str

    @property
    def line(self) -> str:
        """Return the fault as one line, secrets redacted."""
        said = " ".join(f"{self.file}: {self.key} = {shown(self.key, self.value)}".split())
        return f"{said} is refused: allowed is {self.allowed}. {self.remedy}"


class ConfigError(Explained, ValueError):
    """Raised for a configuration that cannot be used; one line per fault, each ending with its remedy."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the faults, in the order given."""
        self.faults = tuple(faults)
        super().__init__("\n".join(fault.line for fault in self.faults))


class MissingKey(str):
    """Stands for the value of a key that nothing gives."""

    __slots__ = ()


MISSING = MissingKey("(missing)")


def shown(key: str, value: object) -> str:
    """Return the value as text that may be printed."""
    if isinstance(value, MissingKey):
        return str(value)
    return repr(value) if is_public_key(key, value) else _veiled(repr(redacted(key, value)))


def redacted(key: str, value: object) -> object:
    """Return the value, or ``[REDACTED]`` (in place of the secret part of a text) when key or value looks secret."""
    if SECRET_KEY.search(key) and isinstance(value, str) and not isinstance(value, MissingKey):
        return REDACTED
    if is_public_key(key, value):
        return value
    if key.startswith(_PUBLIC_KEYS) and isinstance(value, str) and not isinstance(value, MissingKey):
        return REDACTED  # perhaps a private one, mistyped
    return _veiled(value) if isinstance(value, str) else value


def is_public_key(key: str, value: object) -> bool:
    """Return whether it is a key that everybody may see: of the right shape, and where such keys are named."""
    return key.startswith(_PUBLIC_KEYS) and isinstance(value, str) and bool(re.fullmatch(PUBLIC_KEY, value))


def looks_secret(value: object) -> bool:
    """Return whether a text looks like a token."""
    return isinstance(value, str) and _SECRET_VALUE.search(value) is not None


def carries_password(address: str) -> bool:
    """Return whether an address may hold a password: after the user, or among what is asked.

    A password may hold the very characters that end one elsewhere (/, ?, #, @), so it is looked for up to the last @.
    """
    found = _ADDRESS.fullmatch(address.replace(" ", "%20"))
    if found is None or found["scheme"].lower() in PLACES:
        return False
    entering = found["rest"].rpartition("@")[0]
    asked = found["rest"].partition("?")[2].replace("#", "&").split("&")
    return any(mark in entering for mark in ":?#") or any(SECRET_KEY.search(one.partition("=")[0]) for one in asked)


def _veiled(text: str) -> str:
    return _SECRET_VALUE.sub(REDACTED, _ADDRESS.sub(_bare, text))


def _bare(address: re.Match[str]) -> str:
    """Return an address that carries a password without whatever could belong to it."""
    scheme, rest = address["scheme"], address["rest"]
    if not carries_password(address[0]):
        return address[0]
    entering, at, place = rest.rpartition("@")
    # A password with ? or # in it may end anywhere: nothing behind the scheme is shown.
    if at and any(mark in entering for mark in "?#"):
        return f"{scheme}://{REDACTED}"
    place, asked, _ = place.partition("?")
    return f"{scheme}://{REDACTED + at if at else ''}{place}{asked}{REDACTED if asked else ''}"
