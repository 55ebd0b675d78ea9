"""Who vouches for bytes: Ed25519 signatures by a key of the environment, believed by public keys of the settings.

Belongs here: the only use of the package cryptography. The private key is read when something is signed and kept
nowhere; what is signed is its owner's affair (registry.py).
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timegpt_assets.core.explained import Explained
from timegpt_assets.core.models.manifests import canonical, parsed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNING_KEY = "TIMEGPT_ASSETS_SIGNING_KEY"
_NEW = f'Make one: (umask 077; echo "{SIGNING_KEY}=$(head -c 32 /dev/urandom | base64)" >> .env)'


class SigningRefused(Explained, RuntimeError):
    """Raised when nothing can be signed; says why and what helps, and never holds the key."""


class UnknownKey(ValueError):
    """Raised for a signature of a key that settings do not name; the message is a clause."""


class BadSignature(ValueError):
    """Raised for a signature that does not belong to the bytes; the message is a clause."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the key that ``secret`` gives when it is asked: 32 bytes in base64."""

    secret: Callable[[], str | None] = field(repr=False)
    public_keys: Mapping[str, str]

    def signed(self, data: bytes) -> bytes:
        """Return the bytes of a signature file: the key's name and its signature under the data.

        Raises SigningRefused for no key, for what is none, and for one that ``public_keys`` does not name.
        """
        key = self._key()
        public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
        name = next((name for name, known in self.public_keys.items() if known == public), None)
        if name is None:
            raise SigningRefused(
                f"{SIGNING_KEY} is of a key that models.public_keys does not name: nobody would believe it. Add it to "
                f"configs/models.yaml, as public_keys: {{YOUR_NAME: {public}}}, and sign again."
            )
        return canonical({"key": name, "signature": base64.b64encode(key.sign(data)).decode()})

    def _key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        said = self.secret()
        if not said:
            raise SigningRefused(f"{SIGNING_KEY} is not set: nothing is signed. {_NEW}, and sign again.")
        if said in self.public_keys.values():
            raise SigningRefused(
                f"models.public_keys holds what {SIGNING_KEY} holds, the private key itself: whoever read it can sign. "
                f"Take both away. {_NEW}, and sign again."
            )
        seed = unpacked(said.strip(), 32)
        if seed is None:
            raise SigningRefused(f"{SIGNING_KEY} is no key: 32 bytes in base64 are. {_NEW}, and sign again.")
        return Ed25519PrivateKey.from_private_bytes(seed)


def signer_of(data: bytes, signature: bytes, public_keys: Mapping[str, str]) -> str:
    """Return the name of the key whose signature the file holds, verified. Raises UnknownKey and BadSignature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    name, signed = _read(signature)
    known = unpacked(public_keys[name], 32) if name in public_keys else None
    if known is None:
        raise UnknownKey(f"it is signed by {name!r:.60}, whom models.public_keys does not name")
    try:
        Ed25519PublicKey.from_public_bytes(known).verify(signed, data)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(f"its signature is not {name}'s") from error
    return name


def _read(signature: bytes) -> tuple[str, bytes]:
    said = parsed(signature) or {}
    name, signed = said.get("key"), unpacked(said.get("signature"), 64)
    if said.keys() != {"key", "signature"} or not isinstance(name, str) or signed is None:
        raise BadSignature("its signature cannot be read")
    return name, signed


def unpacked(text: object, length: int) -> bytes | None:
    """Return the bytes a base64 text stands for, None where it is not one of that many."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == length and base64.b64encode(data).decode() == text else None
