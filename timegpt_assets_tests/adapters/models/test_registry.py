"""The registry: what cannot be verified is refused by name, and of each month one version is live."""

from datetime import timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStore
from timegpt_assets_tests.adapters.buckets import Opened
from timegpt_assets_tests.adapters.models.artifacts import AT, MONTH, OWN, UNDER, made, registry, signer


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path)
    opened: Opened = request.getfixturevalue("bucket")
    return opened()


@pytest.mark.parametrize("forecaster", OWN)
def test_what_was_put_signed_and_made_live_is_loaded_as_it_was_and_says_who_signed_it(
    objects: ObjectStore, forecaster: str
) -> None:
    models, first, second = registry(objects), made(forecaster), made(forecaster, seed=8)
    name = first.manifest["name"]
    assert models.live(name, MONTH) is None
    for artifact in (first, first, second):
        assert models.put(artifact, signer()) == artifact.digest
    models.switch(name, MONTH, first.digest, clock=lambda: AT, seconds=2.5)
    again = models.switch(name, MONTH, first.digest, clock=lambda: AT + timedelta(days=1))
    assert (again.digest, again.since, again.previous, again.seconds) == (first.digest, AT, None, 2.5)
    models.switch(name, MONTH, second.digest, clock=lambda: AT + timedelta(hours=1))
    live = models.live(name, MONTH)
    assert live is not None
    assert (live.digest, live.since, live.previous) == (second.digest, AT + timedelta(hours=1), first.digest)
    loaded = models.load(name, MONTH, live.digest, UNDER)
    assert (loaded, loaded.signed_by) == (second, "ada")
