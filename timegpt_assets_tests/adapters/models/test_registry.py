"""The registry: what cannot be verified is refused by name, and of each month one version is live."""

import base64
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.models.registry import ROOT, ArtifactRefused, Contents, ModelRegistry, Version
from timegpt_assets.adapters.storage.chained_record import ClockWentBack
from timegpt_assets.adapters.storage.object_store import Found, LocalStore, ObjectStore
from timegpt_assets.core.models.manifests import SIGNATURE, Artifact, Expected
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


def put(objects: ObjectStore, name: str, data: bytes) -> None:
    objects.update(name, lambda _: data)


def folder_of(artifact: Artifact) -> str:
    return f"{ROOT}/{artifact.manifest['name']}/{artifact.manifest['month']}/{artifact.digest}"


def loaded(models: ModelRegistry, artifact: Artifact, expected: Expected | None = UNDER) -> Artifact:
    return models.load(artifact.manifest["name"], MONTH, artifact.digest, expected)


def test_one_changed_byte_of_any_file_is_refused_by_name_and_putting_it_again_mends_it(tmp_path: Path) -> None:
    objects, artifact = LocalStore(tmp_path), made("tsmixer")
    models = registry(objects)
    models.put(artifact, signer())
    for file in sorted((tmp_path / folder_of(artifact)).iterdir()):
        whole = file.read_bytes()
        for place in range(0, len(whole), 1 if file.name == SIGNATURE else 11):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(ArtifactRefused, match=rf"{artifact.digest} is refused: .*(manifest|sign)"):
                loaded(models, artifact)
        for bad in (b"", whole[:-1], whole + b" "):
            file.write_bytes(bad)
            with pytest.raises(ArtifactRefused, match=rf"{artifact.digest} is refused: .*(manifest|sign)"):
                loaded(models, artifact)
        models.put(artifact, signer())
        assert loaded(models, artifact) == artifact


def test_a_file_that_is_gone_added_or_in_a_folder_below_is_refused_by_name(objects: ObjectStore) -> None:
    models, artifact = registry(objects), made()
    for name, said in (
        ("manifest.json", "manifest.json is not there"),
        ("train_report.json", "train_report.json is not there"),
        ("extra.json", "extra.json is not listed in its manifest"),
        ("deep/extra.json", "deep(/extra.json)? is (not listed|a folder)"),
    ):
        models.put(artifact, signer())
        place = f"{folder_of(artifact)}/{name}"
        objects.delete(place) if name in (*artifact.files, "manifest.json") else put(objects, place, b"{}")
        with pytest.raises(
            ArtifactRefused, match=rf"{said}.* Restore .*timegpt-assets train --month {MONTH} --profile"
        ):
            loaded(models, artifact)
        objects.delete(place)


def linked(file: Path) -> None:
    file.rename(file.with_name(".own"))
    file.symlink_to(".own")


def hard_linked(file: Path) -> None:
    (file.parent / ".other").hardlink_to(file)


def folder_linked(file: Path) -> None:
    file.parent.rename(file.parent.with_name("0" * 64))
    file.parent.symlink_to("0" * 64)


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


LINKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link": (linked, "train_report.json is a link"),
    "two names": (hard_linked, "train_report.json is no file of its own"),
    "its folder a link": (folder_linked, "it is a link. Put what it leads to in its place"),
    "a pipe": (a_pipe, "train_report.json is no file of its own"),
}


@pytest.mark.parametrize("kind", LINKS)
def test_links_and_what_is_no_file_are_refused(tmp_path: Path, kind: str) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made()
    models.put(artifact, signer())
    change, said = LINKS[kind]
    change(tmp_path / folder_of(artifact) / "train_report.json")
    with pytest.raises(ArtifactRefused, match=said):
        loaded(models, artifact)


def test_a_pointer_that_is_a_link_is_refused(tmp_path: Path) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made()
    models.put(artifact, signer())
    models.switch(artifact.manifest["name"], MONTH, artifact.digest, clock=lambda: AT)
    linked(tmp_path / folder_of(artifact) / ".." / "live.json")
    with pytest.raises(ArtifactRefused, match=r"live.json is refused: it is a link"):
        models.live(artifact.manifest["name"], MONTH)


@pytest.mark.parametrize(
    "words", [("..", MONTH, "0" * 64), ("a/b", MONTH, "0" * 64), ("a", "..", "0" * 64), ("a", MONTH, "..")]
)
def test_words_that_lead_elsewhere_are_refused_wherever_they_are_said(
    objects: ObjectStore, words: tuple[str, str, str]
) -> None:
    models = registry(objects)
    for use in (
        models.load,
        lambda *said: models.switch(*said, clock=lambda: AT),
        lambda *said: models.sign(*said, signer()),
    ):
        with pytest.raises(ArtifactRefused, match=r"is no (name|month|digest) of an artifact"):
            use(*words)


def test_a_copy_under_another_name_month_or_digest_is_refused(tmp_path: Path) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made()
    models.put(artifact, signer())
    name, own = artifact.manifest["name"], tmp_path / folder_of(artifact)
    for other, month, digest, said in (
        (
            "liquid_demo_blend_v2",
            MONTH,
            artifact.digest,
            f"it says name '{name}', and lies under 'liquid_demo_blend_v2'",
        ),
        (name, "2025-04", artifact.digest, "it says month '2025-03', and lies under '2025-04'"),
        (name, MONTH, "0" * 64, "manifest.json is not what its digest says"),
    ):
        shutil.copytree(own, tmp_path / ROOT / other / month / digest)
        with pytest.raises(ArtifactRefused, match=said):
            models.load(other, month, digest)
        with pytest.raises(ArtifactRefused, match=said):
            models.switch(other, month, digest, clock=lambda: AT)
    models.switch(name, MONTH, artifact.digest, clock=lambda: AT)
    pointer = tmp_path / ROOT / name
    shutil.copy(pointer / MONTH / "live.json", pointer / "2025-04" / "live.json")
    with pytest.raises(ArtifactRefused, match=r"live.json is refused: it is not as it was written. Restore it"):
        models.live(name, "2025-04")


@pytest.mark.parametrize(
    "field", ["feature_version", "features_hash", "feature_payload_schema_version", "label_definition"]
)
def test_what_was_made_under_others_than_in_use_is_refused_with_both(tmp_path: Path, field: str) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made(under=replace(UNDER, **{field: "older"}))
    models.put(artifact, signer())
    assert loaded(models, artifact, None) == artifact
    with pytest.raises(ArtifactRefused, match=rf"{field} is 'older', and .* is in use. Train the month again"):
        loaded(models, artifact)


def test_in_prod_nobody_s_and_a_stranger_s_signature_are_refused_and_elsewhere_vouch_for_nothing(
    objects: ObjectStore,
) -> None:
    artifact, prod, demo = made(), registry(objects), registry(objects, demand=False)
    prod.put(artifact, None)
    sign_it = rf"models sign {artifact.manifest['name']} --month {MONTH} --profile prod"
    with pytest.raises(ArtifactRefused, match=rf"it is not signed. .*{sign_it}"):
        loaded(prod, artifact)
    assert loaded(demo, artifact).signed_by is None
    demo.put(artifact, signer(base64.b64encode(bytes(32)).decode(), name="eve"))
    with pytest.raises(ArtifactRefused, match=rf"signed by 'eve', whom models.public_keys does not name. .*{sign_it}"):
        loaded(prod, artifact)
    assert loaded(demo, artifact).signed_by is None
    assert prod.sign(artifact.manifest["name"], MONTH, artifact.digest, signer()) == "ada"
    assert loaded(prod, artifact).signed_by == loaded(demo, artifact).signed_by == "ada"


def test_a_signature_of_something_else_is_refused_in_every_profile(objects: ObjectStore) -> None:
    artifact, other = made(), made(seed=8)
    for models in (registry(objects), registry(objects, demand=False)):
        for one in (artifact, other):
            models.put(one, signer())
        found = objects.read(f"{folder_of(other)}/{SIGNATURE}")
        assert found is not None
        put(objects, f"{folder_of(artifact)}/{SIGNATURE}", found.data)
        with pytest.raises(ArtifactRefused, match=r"its signature is not ada's"):
            loaded(models, artifact)


def test_what_does_not_hold_together_is_neither_stored_nor_signed_nor_made_live(tmp_path: Path) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made()
    with pytest.raises(ArtifactRefused, match=r"its files are not those of its manifest. Nothing was stored"):
        models.put(Artifact(artifact.manifest, {**artifact.files, "train_report.json": b"{}"}), None)
    with pytest.raises(ArtifactRefused, match=r"field seed is missing"):
        models.put(Artifact({k: v for k, v in artifact.manifest.items() if k != "seed"}, artifact.files), None)
    assert list(tmp_path.rglob("*")) == []
    models.put(artifact, None)
    (tmp_path / folder_of(artifact) / "train_report.json").write_bytes(b"{}")
    for use in (
        lambda *said: models.sign(*said, signer()),
        lambda *said: models.switch(*said, clock=lambda: AT),
    ):
        with pytest.raises(ArtifactRefused, match=r"train_report.json is not what its manifest says"):
            use(artifact.manifest["name"], MONTH, artifact.digest)
    assert models.live(artifact.manifest["name"], MONTH) is None


class Changing(LocalStore):
    """A folder in which every file is another one as soon as it was read."""

    def read(self, name: str) -> Found | None:
        """Return the file, and replace it."""
        found = super().read(name)
        if found:
            put(self, name, b"changed after it was looked at")
        return found


def test_the_bytes_that_were_hashed_are_those_that_are_handed_on(tmp_path: Path) -> None:
    artifact = made()
    registry(LocalStore(tmp_path)).put(artifact, signer())
    assert loaded(registry(Changing(tmp_path)), artifact) == artifact
    assert {path.read_bytes()[:7] for path in (tmp_path / folder_of(artifact)).iterdir()} == {b"changed"}


def test_a_clock_that_went_back_is_refused_and_one_that_stands_still_is_not(objects: ObjectStore) -> None:
    models, first, second = registry(objects), made(), made(seed=8)
    name = first.manifest["name"]
    for artifact in (first, second):
        models.put(artifact, signer())
    models.switch(name, MONTH, first.digest, clock=lambda: AT)
    with pytest.raises(
        ClockWentBack, match=r"live.json was switched at 2025-03-03T12:00:00\+00:00. Set the clock right"
    ):
        models.switch(name, MONTH, second.digest, clock=lambda: AT - timedelta(seconds=1))
    assert models.switch(name, MONTH, first.digest, clock=lambda: AT - timedelta(seconds=1)).since == AT
    assert models.switch(name, MONTH, second.digest, clock=lambda: AT).previous == first.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"",
        lambda text: text + b"\n",
        lambda text: text.replace(b'"seconds":null', b'"seconds":"x"'),
        lambda text: text.replace(b"+00:00", b""),
        lambda text: text.replace(MONTH.encode() + b'"', b'2025-02"'),
        lambda text: text.replace(b'"previous":null', b'"previous":"../x"'),
        lambda text: text.replace(b'"previous":null,', b""),
        lambda text: b"[]",
        lambda text: b"\xff",
    ],
)
def test_a_pointer_that_was_edited_is_refused_until_it_is_restored_or_removed(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made()
    name, file = artifact.manifest["name"], tmp_path / folder_of(artifact) / ".." / "live.json"
    models.put(artifact, signer())
    live = models.switch(name, MONTH, artifact.digest, clock=lambda: AT)
    text = file.read_bytes()
    assert change(text) != text
    file.write_bytes(change(text))
    for use in (
        lambda: models.live(name, MONTH),
        lambda: models.switch(name, MONTH, artifact.digest, clock=lambda: AT),
    ):
        with pytest.raises(ArtifactRefused, match=r"live.json is refused: it is not as it was written. Restore it"):
            use()
    file.write_bytes(text)
    assert models.live(name, MONTH) == live


def test_contents_are_what_is_there_and_what_is_astray(objects: ObjectStore) -> None:
    models, artifact = registry(objects), made()
    assert models.contents() == Contents((), (), ())
    models.put(artifact, None)
    name = artifact.manifest["name"]
    models.switch(name, MONTH, artifact.digest, clock=lambda: AT)
    for astray in ("note.txt", f"{name}/note.txt", f"{name}/{MONTH}/note.txt", f"{name}/{MONTH}/latest/manifest.json"):
        put(objects, f"{ROOT}/{astray}", b"")
    found = models.contents()
    assert (found.versions, found.live) == ((Version(name, MONTH, artifact.digest),), ((name, MONTH),))
    assert len(found.strange) == 4
