"""Where models lie, and which of a month is live: artifacts by digest, believed when every byte is what was signed.

Belongs here: ``<storage root>/models/registry/<name>/<month>/<digest>/`` with the manifest, its signature and the files
it lists, and beside the digests ``live.json``, which names one. What a manifest must say is core/models/manifests.py.
"""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from timegpt_assets.adapters.models.live import Live, read_live, written_live
from timegpt_assets.adapters.models.signing import BadSignature, Signer, UnknownKey, signer_of
from timegpt_assets.adapters.storage.chained_record import ClockWentBack
from timegpt_assets.adapters.storage.object_store import Current, LocalStore, ObjectStore, remedied
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.models import manifests
from timegpt_assets.core.models.manifests import MANIFEST, SIGNATURE, Artifact, Expected, canonical, sha256

ROOT, LIVE = "models/registry", "live.json"


class ArtifactRefused(Explained, RuntimeError):
    """Raised for an artifact, or a pointer to one, that is not believed: ``artifact`` names it, ``reason`` says why."""

    def __init__(self, artifact: str, reason: str, remedy: str) -> None:
        """Keep the three, the remedy as the end of the message."""
        super().__init__(artifact, reason, remedy)
        self.artifact, self.reason, self.remedy = artifact, reason, remedy

    def __str__(self) -> str:
        """Return the message."""
        return f"{self.artifact} is refused: {self.reason}. {self.remedy}"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One artifact's place."""

    name: str
    month: str
    digest: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a registry holds: artifacts, (name, month) of what is live, and names of what is neither, all sorted."""

    versions: tuple[Version, ...]
    live: tuple[tuple[str, str], ...]
    strange: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """The models of one storage root: ``runtime.model_registry`` makes it from the settings.

    ``public_keys`` (name -> base64) say whom to believe, ``demand_signature`` (in prod) that nothing else is; both
    decide what a row of a seat is worth, so assets that load a model name the setting ``models.public_keys``. Words
    that could lead to another folder are refused. Every method raises ArtifactRefused, and ObjectStoreError when the
    store itself fails.
    """

    objects: ObjectStore
    public_keys: Mapping[str, str]
    demand_signature: bool
    profile: str

    def put(self, artifact: Artifact, signer: Signer | None) -> str:
        """Store an artifact, signed where there is somebody to sign, and return its digest; not live by that.

        What lies there already as it should is left; what does not is written anew. The manifest comes last.
        """
        manifest, data = artifact.manifest, canonical(artifact.manifest)
        version = Version(str(manifest.get("name")), str(manifest.get("month")), sha256(data))
        found = manifests.faults(manifest, name=version.name, month=version.month)
        if not found and {file: sha256(content) for file, content in artifact.files.items()} != manifest["files"]:
            found = ["its files are not those of its manifest"]
        folder, stored = self._folder(version), dict(artifact.files)
        if found:
            raise ArtifactRefused(
                self.shown(version), "; ".join(found), "Nothing was stored; make it of its own files."
            )
        if signer:
            stored[SIGNATURE] = signer.signed(data)
        for file, content in {**stored, MANIFEST: data}.items():
            self._write(f"{folder}/{file}", content)
        return version.digest

    def sign(self, name: str, month: str, digest: str, signer: Signer) -> str:
        """Sign a stored artifact that is whole, and return in whose name. Raises SigningRefused."""
        version = Version(name, month, digest)
        data = canonical(self._loaded(version, None, believe=False).manifest)
        signature = signer.signed(data)
        self._write(f"{self._folder(version)}/{SIGNATURE}", signature)
        return signer_of(data, signature, self.public_keys)

    def switch(
        self,
        name: str,
        month: str,
        digest: str,
        *,
        clock: Callable[[], datetime],
        seconds: float | None = None,
    ) -> Live:
        """Make an artifact that is whole, signed or not, the live one of its month; return what is live then.

        The same digest again changes nothing. ``seconds``: how long training it took. Raises ClockWentBack.
        """
        version = Version(name, month, digest)
        self._loaded(version, None, believe=False)
        pointer, there = self._pointer(name, month), list[Live]()

        def change(current: Current) -> bytes:
            data = file.read() if (file := current()) else None
            known = None if data is None else self._read_live(version, data)
            if data is not None and known is not None and known.digest == digest:
                there[:] = [known]
                return data
            now = clock()
            if known and now < known.since:
                raise ClockWentBack(
                    f"it is {now.isoformat()} by this machine's clock, and {self.objects.shown(pointer)} was switched "
                    f"at {known.since.isoformat()}. Set the clock right, or wait until then, and do it again."
                )
            took = None if seconds is None else float(seconds)
            there[:] = [Live(digest, now, known.digest if known else None, took)]
            return written_live(name, month, there[0])

        self.objects.update(pointer, change)
        return there[0]

    def live(self, name: str, month: str) -> Live | None:
        """Return what is live of a month, None where nothing was made live."""
        pointer = self._pointer(name, month)
        self._refuse_link(pointer)
        found = self.objects.read(pointer)
        return self._read_live(Version(name, month, "0" * 64), found.data) if found else None

    def load(self, name: str, month: str, digest: str, expected: Expected | None = None) -> Artifact:
        """Return an artifact every byte of which was verified: the bytes that were hashed, read once.

        ``signed_by`` of it says who vouches for it; None: nobody whom settings know, which is refused where a
        signature is demanded. ``expected``: what it must have been made under; None asks nothing of that.
        """
        return self._loaded(Version(name, month, digest), expected, believe=True)

    def contents(self) -> Contents:
        """Return what there is, whole or not, and what lies between and is none of it."""
        found, live, strange = set[Version](), set[tuple[str, str]](), list[str]()
        for name, _ in self.objects.names(f"{ROOT}/"):
            parts = name.removeprefix(f"{ROOT}/").split("/")
            is_pointer = len(parts) == 3 and parts[2] == LIVE
            pinned = "0" * 64 if is_pointer else parts[min(2, len(parts) - 1)]
            if (len(parts) < 4 and not is_pointer) or manifests.place_fault(parts[0], parts[1], pinned):
                strange.append(name)
            elif is_pointer:
                live.add((parts[0], parts[1]))
            else:
                found.add(Version(parts[0], parts[1], pinned))
        return Contents(tuple(sorted(found)), tuple(sorted(live)), tuple(strange))

    def shown(self, version: Version) -> str:
        """Return where an artifact lies, as a person would type it."""
        return self.objects.shown(f"{ROOT}/{version.name}/{version.month}/{version.digest}")

    def _loaded(self, version: Version, expected: Expected | None, *, believe: bool) -> Artifact:
        folder = self._folder(version)
        listed = self._listed(version, folder)
        data = self._bytes(version, listed, MANIFEST)
        manifest = manifests.parsed(data) if sha256(data) == version.digest else None
        if manifest is None:
            raise self._damaged(version, f"{MANIFEST} is not what its digest says")
        if found := manifests.faults(manifest, name=version.name, month=version.month, expected=expected):
            raise ArtifactRefused(self.shown(version), "; ".join(found), self._train(version))
        files: Mapping[str, Any] = manifest["files"]
        if strange := sorted(listed - files.keys() - {MANIFEST, SIGNATURE}):
            raise self._damaged(version, f"{', '.join(strange)} is not listed in its manifest")
        signed_by = self._signed_by(version, listed, data) if believe else None
        contents = {file: self._bytes(version, listed, file) for file in files}
        for file, content in contents.items():
            if sha256(content) != files[file]:
                raise self._damaged(version, f"{file} is not what its manifest says")
        return Artifact(manifest, contents, signed_by)

    def _signed_by(self, version: Version, listed: set[str], data: bytes) -> str | None:
        """Return who signed; None for nobody known, where that is allowed. A signature that does not fit never is."""
        remedy = f"Look at it, and sign it: timegpt-assets models sign {version.name} --month {version.month}"
        remedy += f" --profile {self.profile}"
        why = "it is not signed"
        if SIGNATURE in listed:
            try:
                return signer_of(data, self._bytes(version, listed, SIGNATURE), self.public_keys)
            except UnknownKey as error:
                why, remedy = str(error), f"{remedy}, or add the signer's key there"
            except BadSignature as error:
                raise ArtifactRefused(self.shown(version), str(error), remedy) from error
        if self.demand_signature:
            raise ArtifactRefused(self.shown(version), why, remedy)
        return None

    def _folder(self, version: Version) -> str:
        """Return the folder of an artifact; its words lead nowhere else, and nothing on the way to it is a link."""
        if fault := manifests.place_fault(version.name, version.month, version.digest):
            raise ArtifactRefused(
                f"{version.name:.99} of {version.month:.20}", fault, "See: timegpt-assets models list"
            )
        parts = (version.name, version.month, version.digest)
        for depth in range(1, len(parts) + 1):
            self._refuse_link("/".join((ROOT, *parts[:depth])))
        return "/".join((ROOT, *parts))

    def _pointer(self, name: str, month: str) -> str:
        return f"{self._folder(Version(name, month, '0' * 64)).rpartition('/')[0]}/{LIVE}"

    def _refuse_link(self, name: str) -> None:
        if isinstance(self.objects, LocalStore) and self.objects.path(name).is_symlink():
            raise ArtifactRefused(self.objects.shown(name), "it is a link", "Put what it leads to in its place.")

    def _listed(self, version: Version, folder: str) -> set[str]:
        """Return the names of the files in an artifact's folder, which holds plain files of its own and nothing else.

        What begins with a dot is the store's own: never read, and gone with its writer.
        """
        if not isinstance(self.objects, LocalStore):
            return {name.removeprefix(f"{folder}/") for name, _ in self.objects.names(f"{folder}/")}
        place = self.objects.path(folder)
        with remedied(place, "read"):
            found = [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []
            kinds = {path.name: _irregular(path.lstat()) for path in sorted(found)}
        for name, what in kinds.items():
            if what:
                raise self._damaged(version, f"{name} is {what}")
        return set(kinds)

    def _bytes(self, version: Version, listed: set[str], file: str) -> bytes:
        found = self.objects.read(f"{self._folder(version)}/{file}") if file in listed else None
        if found is None:
            raise self._damaged(version, f"{file} is not there")
        return found.data

    def _write(self, name: str, data: bytes) -> None:
        """Store bytes under a name; a file of its own that holds them already is left."""
        own = True
        if isinstance(self.objects, LocalStore) and (path := self.objects.path(name)).exists():
            with remedied(path, "read"):
                own = not _irregular(path.lstat())
        if not (own and (found := self.objects.read(name)) and found.data == data):
            self.objects.update(name, lambda _: data)

    def _read_live(self, version: Version, data: bytes) -> Live:
        if live := read_live(version.name, version.month, data):
            return live
        remedy = f"Restore it from a backup, or remove it. {self._train(version)}"
        where = self.objects.shown(self._pointer(version.name, version.month))
        raise ArtifactRefused(where, "it is not as it was written", remedy)

    def _damaged(self, version: Version, what: str) -> ArtifactRefused:
        remedy = f"Restore the folder from a backup, or remove it. {self._train(version)}"
        return ArtifactRefused(self.shown(version), what, remedy)

    def _train(self, version: Version) -> str:
        return f"Train the month again: timegpt-assets train --month {version.month} --profile {self.profile}"


def _irregular(found: os.stat_result) -> str | None:
    """Return what a file is that is no plain one under one name, None for a plain one."""
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return (
        None
        if stat.S_ISREG(mode) and found.st_nlink == 1
        else "no file of its own: it has another name, or is a device"
    )
