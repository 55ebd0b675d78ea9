"""Artifacts for tests: small, whole, one of each kind, and the keys that sign them.

Belongs here: what several tests of the registry start from.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from timegpt_assets.adapters.models.registry import ModelRegistry
from timegpt_assets.adapters.models.signing import Signer
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.models.manifests import Artifact, Expected, LearntFrom, artifact
from timegpt_assets_tests.secret_search import SIGNING as SECRET

AT = datetime(2025, 3, 3, 12, tzinfo=UTC)
MONTH = "2025-03"
UNDER = Expected(
    feature_version="price.1+clock.1",
    features_hash="f" * 64,
    feature_payload_schema_version="1",
    label_definition="log return from snapshot_ts over 15 min / sigma_60m",
)
OWN: Mapping[str, Mapping[str, Any]] = {
    "lightgbm": {},
    "tsmixer": {
        "type": "tsmixer_liquid",
        "normalization": {"ret_1m": [0.0, 0.00123456789]},
        "n_tokens": 32,
        "n_channels": 4,
        "ensemble_alpha": None,
    },
    "blend": {"policy": "blend_alpha_0.3", "parts": {"lightgbm": "a" * 64, "tsmixer": "b" * 64}},
}


def made(
    forecaster: str = "lightgbm",
    *,
    month: str = MONTH,
    seed: int = 7,
    under: Expected = UNDER,
    own: Mapping[str, Any] | None = None,
) -> Artifact:
    """Return a whole artifact; another seed has another digest."""
    report = {
        "library_versions": {"lightgbm": "4.7.0"},
        "fold_metrics": [{"fold": 0, "pinball": 0.31, "rows": 100}],
        "validation": {"sessions": 10},
        "control_arm": {"settings": "c" * 64, "pinball": 0.3, "against_pinball": 0.31, "dm_p": 0.04},
    }
    return artifact(
        forecaster,
        universe="demo",
        month=month,
        learnt_from=LearntFrom(first_day=date(2025, 1, 2), last_day=date(2025, 2, 26), sessions=38, rows=9_000),
        made_under=under,
        seed=seed,
        saved={".json": b'{"trees":[%d]}' % seed, ".scale.json": b"{}"},
        report=report,
        own=OWN[forecaster] if own is None else own,
    )


def public(secret: str) -> str:
    """Return the public key of a private one."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signer(secret: str = SECRET, *, name: str = "ada") -> Signer:
    """Return who signs with the key, under a name that settings know."""
    return Signer(lambda: secret, {name: public(secret)})


def registry(objects: ObjectStore, *, demand: bool = True, keys: Mapping[str, str] | None = None) -> ModelRegistry:
    """Return a registry that believes ada."""
    known = {"ada": public(SECRET)} if keys is None else keys
    return ModelRegistry(objects, known, demand, "prod" if demand else "demo")
