"""An object store in a Google Cloud Storage bucket: each name is an object under a prefix, written with generation
guards.

Belongs here: the real client's calls and what their failures mean. Every write says which generation it replaces, so
a machine that read an older one is refused (412) and begins again. Reading is pinned to one generation.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from timegpt_assets.adapters.storage.object_store import Bytes, Current, Found, ObjectStoreError, Replaced
from timegpt_assets.adapters.storage.ranged import RangedObject

ABSENT = 0
"""The generation that GCS takes for "nothing may lie there yet"."""


@dataclass(frozen=True, slots=True)
class GcsStore:
    """Objects ``gs://<bucket>/<prefix>/<name>``.

    ``client`` is asked for when it is needed first. ``timeout_s`` bounds one wait for the server, ``deadline_s`` the
    client's own repetitions after a failure, and ``contention_s`` how long an update is begun again because other
    writers came first.
    """

    client: Callable[[], storage.Client]
    bucket: str
    prefix: str = ""
    timeout_s: float = 60.0
    deadline_s: float = 120.0
    contention_s: float = 600.0

    def shown(self, name: str) -> str:
        """Return the object's gs:// address."""
        return f"gs://{self.bucket}/{self._key(name)}"

    def generation(self, name: str) -> str | None:
        """Return the object's generation, None when there is no object."""
        with self._remedied(name, "read"):
            found = self._bucket.get_blob(self._key(name), **self._patience)
        return None if found is None else str(found.generation)

    def read(self, name: str) -> Found | None:
        """Return the object's bytes and generation from one request, None when there is no object."""
        blob = self._bucket.blob(self._key(name))
        with self._remedied(name, "read"):
            try:
                data = blob.download_as_bytes(**self._patience)
            except NotFound as error:
                self._require_bucket(error)
                return None
        return Found(data, str(blob.generation))

    def opened(self, name: str) -> BinaryIO | None:
        """Return the object, whole in memory, None when there is none."""
        found = self.read(name)
        return None if found is None else io.BytesIO(found.data)

    def ranged(self, name: str) -> BinaryIO | None:
        """Return the object as a file of which only the parts that are asked for are fetched; None when absent."""
        with self._remedied(name, "read"):
            found = self._bucket.get_blob(self._key(name), **self._patience)
        if found is None:
            return None
        # pinned to one generation: footer and row groups of two versions would be read as one file
        pinned = self._bucket.blob(self._key(name), generation=found.generation)

        def fetch(first: int, last: int) -> bytes:
            with self._remedied(name, "read"):
                try:
                    return bytes(pinned.download_as_bytes(start=first, end=last, checksum=None, **self._patience))
                except NotFound as error:
                    raise Replaced(f"{self.shown(name)} was replaced while it was read. Run again.") from error

        return cast("BinaryIO", RangedObject(int(found.size), fetch))

    def write_new(self, name: str, data: Bytes) -> bool:
        """Store the object unless it exists; return whether it was stored.

        An upload whose answer is lost is sent again, and then refused because of itself: the bytes there decide.
        """
        try:
            self._upload(name, data, over=ABSENT)
        except PreconditionFailed:
            found = self.read(name)
            return found is not None and found.data == data
        return True

    def update(self, name: str, change: Callable[[Current], Bytes]) -> None:
        """Replace the object by what ``change`` makes of it, over the very generation that it was given.

        Where ``change`` asks for nothing it needs nothing, and the object is replaced whatever it is.
        """
        waits = wait_random_exponential(multiplier=0.05, max=2.0)
        again = retry_if_exception_type(PreconditionFailed)
        try:
            for attempt in Retrying(wait=waits, retry=again, stop=stop_after_delay(self.contention_s), reraise=True):
                with attempt:
                    self._update_once(name, change)
        except PreconditionFailed as error:
            raise ObjectStoreError(
                f"{self.shown(name)}: other writers came first for {self.contention_s:g} s. "
                "See which runs write it, let them finish, and run again."
            ) from error

    def _update_once(self, name: str, change: Callable[[Current], Bytes]) -> None:
        seen: list[int] = []

        def current() -> BinaryIO | None:
            found = self.read(name)
            seen.append(ABSENT if found is None else int(found.generation))
            return None if found is None else io.BytesIO(found.data)

        # without effects, for it is called again after every lost race
        data = change(current)
        self._upload(name, data, over=seen[-1] if seen else None)

    def move(self, name: str, target: str) -> None:
        """Copy the object to its new name and remove the old one."""
        source = self._bucket.blob(self._key(name))
        with self._remedied(target, "written"):
            try:
                self._bucket.copy_blob(source, self._bucket, self._key(target), **self._patience)
            except NotFound as error:
                self._require_bucket(error)
                return
        self.delete(name)

    def delete(self, name: str) -> None:
        """Remove the object, if there is one."""
        with self._remedied(name, "written"):
            try:
                self._bucket.delete_blob(self._key(name), **self._patience)
            except NotFound as error:
                self._require_bucket(error)

    def names(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Give the objects whose name begins with ``prefix``, sorted, with their generations; pages are followed."""
        fields = "items(name,generation),nextPageToken"
        with self._remedied(prefix, "read"):
            blobs = self._bucket.list_blobs(prefix=self._key(prefix), fields=fields, **self._patience)
            found = [(str(blob.name), str(blob.generation)) for blob in blobs]
        skipped = len(self._key(""))
        yield from sorted((name[skipped:], generation) for name, generation in found)

    @property
    def _bucket(self) -> Any:
        return self.client().bucket(self.bucket)

    @property
    def _patience(self) -> dict[str, Any]:
        return {"timeout": self.timeout_s, "retry": DEFAULT_RETRY.with_timeout(self.deadline_s)}

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _upload(self, name: str, data: Bytes, *, over: int | None) -> None:
        """Upload with a checksum the server verifies; ``over`` is the generation replaced, None for any."""
        blob = self._bucket.blob(self._key(name))
        body = data if isinstance(data, bytes) else bytes(memoryview(data))
        with self._remedied(name, "written"):
            blob.upload_from_string(
                body,
                content_type="application/octet-stream",
                # the server guards it: a killed writer leaves no lock behind, and machines share no disk
                if_generation_match=over,
                checksum="crc32c",
                **self._patience,
            )

    def _require_bucket(self, error: NotFound) -> None:
        """Raise ObjectStoreError when it is not the object but the bucket that does not exist."""
        if "bucket does not exist" in str(error):
            raise ObjectStoreError(
                f"gs://{self.bucket} does not exist. Create the bucket, or mend data.bucket or the gs:// address."
            ) from error

    @contextmanager
    def _remedied(self, name: str, what: str) -> Iterator[None]:
        """Turn what the service refuses into a ObjectStoreError with the remedy; absence and lost races go through."""
        try:
            yield
        except (NotFound, PreconditionFailed) as error:
            if isinstance(error, NotFound):
                self._require_bucket(error)
            raise
        except (GoogleAPICallError, RetryError, DataCorruption, InvalidResponse, requests.RequestException) as error:
            raise ObjectStoreError(
                f"{self.shown(name)} cannot be {what}: {error}. What was there is untouched. See that the bucket and "
                "your rights on it are there and the service is up, and run again."
            ) from error
        except GoogleAuthError as error:
            raise ObjectStoreError(
                f"{self.shown(name)} cannot be {what}: {error}. "
                "Give this machine credentials: gcloud auth application-default login."
            ) from error
