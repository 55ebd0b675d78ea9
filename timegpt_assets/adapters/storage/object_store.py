"""Where bytes lie under names: a folder on disk (here) or a prefix of a bucket (gcs.py), one interface.

Belongs here: what an object store promises, and the folder. A name is relative, its parts joined by ``/``; what a file
means is said by whoever writes it. Readers see what was there before a write or what is there after it, never a part.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

import pyarrow as pa

from timegpt_assets.config import files

Bytes: TypeAlias = "bytes | bytearray | memoryview | pa.Buffer"
Current: TypeAlias = Callable[[], BinaryIO | None]
"""Opens what lies under a name at the moment, None when nothing does; not calling it saves the reading."""


class ObjectStoreError(RuntimeError):
    """Raised when an object store cannot be read or written; names what lies there, the cause and the remedy."""


class Replaced(ObjectStoreError):
    """Raised when what is read in parts was replaced in between: the parts would be of two generations."""


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes as they were at one moment, and the generation they had: it changes whenever the bytes do."""

    data: bytes
    generation: str


class ObjectStore(Protocol):
    """Bytes under names. Every method raises ObjectStoreError when the store itself fails, never for an absent name."""

    def shown(self, name: str) -> str:
        """Return where the name lies, as a person would type it."""
        ...

    def generation(self, name: str) -> str | None:
        """Return the generation of what lies there, None when nothing does."""
        ...

    def read(self, name: str) -> Found | None:
        """Return the bytes and their generation, None when nothing lies there."""
        ...

    def opened(self, name: str) -> BinaryIO | None:
        """Return what lies there as one seekable file of one generation, None when nothing does."""
        ...

    def ranged(self, name: str) -> BinaryIO | None:
        """Return the same as ``opened``, fetching no more of it than is asked for: for large files read in part."""
        ...

    def write_new(self, name: str, data: Bytes) -> bool:
        """Store the bytes durably unless something lies there; return whether they were stored."""
        ...

    def update(self, name: str, change: Callable[[Current], Bytes]) -> None:
        """Replace what lies there by what ``change`` makes of it, as if no other writer existed.

        Two updates of one name never lose each other's work: the folder takes a lock, the bucket writes only over the
        generation that was read and else begins again, so ``change`` may be called several times.
        """
        ...

    def move(self, name: str, target: str) -> None:
        """Give what lies there another name, over whatever has it; an absent one is left absent."""
        ...

    def delete(self, name: str) -> None:
        """Remove what lies there, if anything does."""
        ...

    def names(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Give every name that begins with ``prefix``, sorted, with its generation."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStore:
    """An object store on a local disk: each name is a file below ``root``; dot names are its own affair."""

    root: Path
    lock_timeout_s: float = 600.0

    def path(self, name: str) -> Path:
        """Return the file of a name."""
        return self.root / name

    def shown(self, name: str) -> str:
        """Return the file's path."""
        return str(self.path(name))

    def generation(self, name: str) -> str | None:
        """Return the file's modification time and size, None when there is no file."""
        path = self.path(name)
        with remedied(path, "read"):
            try:
                return _generation(path.stat())
            except FileNotFoundError:
                return None

    def read(self, name: str) -> Found | None:
        """Return the file's bytes, None when there is no file."""
        path = self.path(name)
        with remedied(path, "read"):
            try:
                with files.opened(path) as file:
                    return Found(file.read(), _generation(os.fstat(file.fileno())))
            except FileNotFoundError:
                return None

    def opened(self, name: str) -> BinaryIO | None:
        """Return the open file, None when there is none; a later replacement does not touch it."""
        path = self.path(name)
        with remedied(path, "read"):
            try:
                return files.opened(path)
            except FileNotFoundError:
                return None

    def ranged(self, name: str) -> BinaryIO | None:
        """Return the open file: a disk gives parts of it for nothing."""
        return self.opened(name)

    def write_new(self, name: str, data: Bytes) -> bool:
        """Store the bytes, synced to the disk with their folder, unless the file exists. Raises ObjectStoreError."""
        path = self.path(name)
        half = _beside(path, f"{os.getpid()}.{threading.get_ident()}.half")
        with remedied(path, "written"):
            if path.exists():
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with half.open("wb") as file:
                    _write_synced(file.fileno(), data)
                os.link(half, path)  # unlike a rename, a link refuses to replace what another process just stored
            except FileExistsError:
                return False
            finally:
                half.unlink(missing_ok=True)
            _sync_folder(path.parent)
            return True

    def update(self, name: str, change: Callable[[Current], Bytes]) -> None:
        """Replace the file: lock the one beside it, write, sync, rename. Raises ObjectStoreError, and leaves the old
        file.

        The name beside it is fixed: the next writer overwrites what a killed one left.
        """
        path = self.path(name)
        beside = _beside(path, "tmp")
        with remedied(path, "written", self.lock_timeout_s):
            if not path.parent.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
            with _claimed(beside, self.lock_timeout_s) as handle, ExitStack() as opened:
                try:
                    data = change(lambda: (file := self.opened(name)) and opened.enter_context(file))
                    _write_synced(handle, data)
                    beside.replace(path)
                except BaseException:
                    beside.unlink(missing_ok=True)
                    raise

    def move(self, name: str, target: str) -> None:
        """Rename the file."""
        with remedied(self.path(target), "written"):
            self.path(target).parent.mkdir(parents=True, exist_ok=True)
            try:
                self.path(name).replace(self.path(target))
            except FileNotFoundError:
                return

    def delete(self, name: str) -> None:
        """Remove the file, if there is one."""
        with remedied(self.path(name), "written"):
            self.path(name).unlink(missing_ok=True)

    def names(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Give the files whose name begins with ``prefix``, sorted, without what lies beside them for a moment."""
        folder = self.root / prefix.rpartition("/")[0]
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(self.root).as_posix()):
            name = path.relative_to(self.root).as_posix()
            if name.startswith(prefix) and not path.name.startswith(".") and path.is_file():
                yield name, _generation(path.stat())


REMEDIES = {
    "read": "Nothing was made of it. See that the disk is there and that this account may read it, and run again.",
    "written": "What was there is untouched. Make room or the folder writable, or set "
    "data.storage_root, data.artifacts_root or forecast.cache_dir to another one, and run again.",
}


def is_refusal(error: object) -> bool:
    """Return whether the system refused, and says why by number: that tells of the machine, not of what lies there."""
    return isinstance(error, OSError) and bool(error.errno)


@contextmanager
def remedied(path: Path, what: str, lock_timeout_s: float = 0.0) -> Iterator[None]:
    """Turn what the disk refuses, and a lock that is not given, into a ObjectStoreError with the remedy."""
    try:
        yield
    except TimeoutError as error:
        raise ObjectStoreError(
            f"{path}: another process has held its lock for {lock_timeout_s:g} s. "
            "See what it does (fuser on the .tmp file beside it), end it if it hangs, and run again."
        ) from error
    except OSError as error:
        raise ObjectStoreError(f"{path} cannot be {what}: {error}. {REMEDIES[what]}") from error


@contextmanager
def _claimed(path: Path, timeout_s: float) -> Iterator[int]:
    """Yield the handle of an empty file at ``path`` that nobody else writes, or raise TimeoutError.

    The file is its own lock, which the system lets go of when the process dies. Whoever waited for it may find that it
    has been renamed to what it was written for meanwhile, and then begins again.
    """
    invalidate = time.monotonic() + timeout_s
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while not _taken(handle):
                if time.monotonic() > invalidate:
                    raise TimeoutError(path)
                time.sleep(0.01)
            if _is(path, handle):
                os.ftruncate(handle, 0)
                yield handle
                return
        finally:
            os.close(handle)


def _is(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")


def _generation(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}"


def _write_synced(handle: int, data: Bytes) -> None:
    left = memoryview(data)
    while left.nbytes:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
