"""Signatures: Ed25519 as the standard has it, by a key that shows nowhere, believed of those who are named alone."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from timegpt_assets.adapters.models.signing import (
    SIGNING_KEY,
    BadSignature,
    Signer,
    SigningRefused,
    UnknownKey,
    signer_of,
    unpacked,
)
from timegpt_assets.runtime import load_runtime
from timegpt_assets.runtime import signer as of_runtime
from timegpt_assets_tests.adapters.models.artifacts import SECRET, public, signer

OTHER = base64.b64encode(bytes(range(32))).decode()


def test_a_signature_is_the_one_of_the_standard() -> None:
    """RFC 8032, 7.1, test 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    known = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signed = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    secret, name = base64.b64encode(seed).decode(), base64.b64encode(known).decode()
    found = Signer(lambda: secret, {"rfc": name}).signed(bytes([0x72]))
    assert json.loads(found) == {"key": "rfc", "signature": base64.b64encode(signed).decode()}
    assert signer_of(bytes([0x72]), found, {"rfc": name}) == "rfc"


def test_who_is_not_named_is_unknown_and_what_does_not_belong_to_the_bytes_is_bad() -> None:
    known, signature = {"ada": public(SECRET)}, signer().signed(b"said")
    assert signer_of(b"said", signature, known) == "ada"
    for keys in ({}, {"eve": public(SECRET)}, {"ada": "no key"}):
        with pytest.raises(UnknownKey, match=r"'ada', whom models\.public_keys does not name"):
            signer_of(b"said", signature, keys)
    for data, keys in ((b"said!", known), (b"said", {"ada": public(OTHER)})):
        with pytest.raises(BadSignature, match=r"not ada's"):
            signer_of(data, signature, keys)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"key":"ada"}',
        b'{"key":"ada","signature":"AAAA"}',
        b'{"key":1,"signature":2}',
        b"[" * 99_999,
    ],
)
def test_a_signature_file_of_another_shape_is_bad(text: bytes) -> None:
    with pytest.raises(BadSignature, match=r"cannot be read"):
        signer_of(b"said", text, {"ada": public(SECRET)})


@pytest.mark.parametrize(
    ("secret", "keys", "said"),
    [
        (None, {}, f"{SIGNING_KEY} is not set"),
        ("", {}, f"{SIGNING_KEY} is not set"),
        ("hunter2", {}, "is no key: 32 bytes in base64 are"),
        (SECRET[:-4], {}, "is no key"),
        (SECRET, {}, f"public_keys: {{YOUR_NAME: {public(SECRET)}}}, and sign again"),
        (SECRET, {"eve": public(OTHER)}, "models.public_keys does not name"),
        (SECRET, {"ada": SECRET}, "the private key itself"),
    ],
    ids=["absent", "empty", "no base64", "too short", "nobody named", "another named", "itself named"],
)
def test_what_cannot_sign_says_what_to_do_and_never_the_key(
    secret: str | None, keys: dict[str, str], said: str
) -> None:
    with pytest.raises(SigningRefused) as refused:
        Signer(lambda: secret, keys).signed(b"said")
    assert said in str(refused.value)
    for shown in (str(refused.value), repr(refused.value), repr(Signer(lambda: secret, {}))):
        assert SECRET[:24] not in shown
        assert "hunter2" not in shown


def test_the_key_is_read_when_something_is_signed_and_shows_in_no_repr() -> None:
    known = f"models.public_keys.ada={public(SECRET)}"
    runtime = load_runtime([known], environ={SIGNING_KEY: SECRET})
    found = of_runtime(runtime)
    assert found is not None
    assert signer_of(b"said", found.signed(b"said"), runtime.settings.models.public_keys) == "ada"
    assert SECRET not in f"{runtime!r} {found!r}"
    assert of_runtime(load_runtime(environ={})) is None
    secrets = iter([SECRET, None])
    rotating = Signer(lambda: next(secrets), {"ada": public(SECRET)})
    rotating.signed(b"said")
    with pytest.raises(SigningRefused, match=r"is not set"):
        rotating.signed(b"said")


def test_the_line_that_makes_a_key_makes_one_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    with pytest.raises(SigningRefused) as refused:
        Signer(lambda: None, {}).signed(b"said")
    line = str(refused.value).partition("Make one: ")[2].removesuffix(", and sign again.")
    made = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (made.stdout, made.stderr) == ("", "")
    name, _, secret = (tmp_path / ".env").read_text().strip().partition("=")
    assert name == SIGNING_KEY
    assert unpacked(secret, 32) is not None
    assert os.stat(tmp_path / ".env").st_mode & 0o077 == 0  # noqa: PTH116
