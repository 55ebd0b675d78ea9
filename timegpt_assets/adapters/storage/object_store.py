"""Where bytes lie under names: a folder on disk (here) or a prefix of a bucket (gcs.py), one interface.

Belongs here: what an object store promises, and the folder. A name is relative, its parts joined by ``/``; what a file
means is said by whoever writes it. Readers see what was there before a write or what is there after it, never a part.
"""

import fcntl
import glob
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

import pyarrow as pa

from timegpt_assets.config import files
from timegpt_assets.core.explained import Explained

Bytes: TypeAlias = "bytes | bytearray | memoryview | pa.Buffer"
Current: TypeAlias = Callable[[], BinaryIO | None]
"""Opens what lies under a name at the moment, None when nothing does; not calling it saves the reading."""


class ObjectStoreError(Explained, RuntimeError):
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
    mode: int = 0o666
    """Who may read new files, less what the umask takes: 0o600 for what was paid for."""

    def path(self, name: str) -> Path:
        """Return the file of a name. Raises ObjectStoreError for one that leads out of the root."""
        if name.startswith("/") or "\0" in name or ".." in name.split("/"):
            raise ObjectStoreError(f"{name!r} leads out of {self.root}. Use a name that lies below it.")
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
        with remedied(path, "written", self.lock_timeout_s):
            if path.exists():
                return False
            self._make(path.parent)
            # locked like an update, which clears away what writers left that were killed: only those, then
            with _locked(path, self.lock_timeout_s), _written(path, data, self.mode) as half:
                try:
                    os.link(half, path)  # unlike a rename, a link refuses to replace what another process just stored
                except FileExistsError:
                    return False
            # the name must survive a power cut too, not only the bytes: what lies here was paid for
            _sync_folder(path.parent)
            return True

    def update(self, name: str, change: Callable[[Current], Bytes]) -> None:
        """Replace the file: lock, write beside it, sync, rename. Raises ObjectStoreError, and leaves the old file."""
        path = self.path(name)
        with remedied(path, "written", self.lock_timeout_s):
            self._make(path.parent)
            # locked around read, change and rename: two runs that each add a symbol to a day both keep theirs
            with _locked(path, self.lock_timeout_s), ExitStack() as opened:
                data = change(lambda: (file := self.opened(name)) and opened.enter_context(file))
                with _written(path, data, self.mode) as half:
                    # a rename, so that a reader has the old file or the new one open, never a part of either
                    half.replace(path)

    def move(self, name: str, target: str) -> None:
        """Rename the file."""
        with remedied(self.path(target), "written"):
            self._make(self.path(target).parent)
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
        folder = self.path(prefix.rpartition("/")[0])
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(self.root).as_posix()):
            name = path.relative_to(self.root).as_posix()
            if name.startswith(prefix) and not path.name.startswith(".") and path.is_file():
                yield name, _generation(path.stat())

    def _make(self, folder: Path) -> None:
        """Make the folder; below ``root`` nobody may look into it who may not read its files."""
        if not folder.exists():
            self._make(folder.parent)
            is_ours = self.root in folder.parents
            folder.mkdir(self.mode | (self.mode & 0o444) >> 2 if is_ours else 0o777, exist_ok=True)


_TOKEN_BYTES = 8
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
            "See what it does (fuser on the .lock file beside it), end it if it hangs, and run again."
        ) from error
    except OSError as error:
        raise ObjectStoreError(f"{path} cannot be {what}: {error}. {REMEDIES[what]}") from error


@contextmanager
def _locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a file, or raise TimeoutError; the system lets go of it when the process dies.

    The lock lies on an empty file beside it that is never written to, so that whatever somebody put there in its place
    stays as it is. Whoever waited for it may find that it was removed meanwhile, and then begins again.
    """
    lock, given_up_at = _beside(path, "lock"), time.monotonic() + timeout_s
    while True:
        # flock and not a file that says who has it: the kernel lets go when its holder is killed, and needs no clock
        handle, left = _opened_lock(lock)
        try:
            # asked over and over instead of waiting in the kernel: a blocking flock cannot be given a deadline
            while not _taken(handle):
                if time.monotonic() > given_up_at:
                    raise TimeoutError(lock)
                time.sleep(0.01)
            # what was waited for may have been unlinked by its last holder, and another file made under the name
            if _is(lock, handle):
                if left:
                    _forget_halves(path)
                try:
                    yield
                finally:
                    with suppress(PermissionError):  # another user's, in a folder that is not ours
                        lock.unlink(missing_ok=True)
                return
        finally:
            os.close(handle)


def _opened_lock(lock: Path) -> tuple[int, bool]:
    """Return the handle of a lock file, and whether it was there: in use, or left by a process that was killed.

    Reading is enough to lock, so one that another user left is no hindrance; what cannot even be read, or is a link,
    is taken away.
    """
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(handle, 0o644)  # whatever the umask: others must be able to lock it
        return handle, False
    except FileExistsError:
        pass
    try:
        return os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CREAT, 0o644), True
    except OSError:
        lock.unlink(missing_ok=True)
        return _opened_lock(lock)


@contextmanager
def _written(path: Path, data: Bytes, mode: int) -> Iterator[Path]:
    """Yield a synced file beside ``path`` under a name nobody could foresee; it is gone afterwards, or renamed."""
    # beside it, because a rename is whole only within one file system
    half = _beside(path, f"{secrets.token_hex(_TOKEN_BYTES)}.half")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb", buffering=0):
            _write_synced(handle, data)
        yield half
    finally:
        half.unlink(missing_ok=True)


def _forget_halves(path: Path) -> None:
    """Remove what killed writers of the file left beside it; its lock must be held."""
    # by the token's own shape: under "record", a star would take the half of "record.head", which has its own lock
    for half in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 2 * _TOKEN_BYTES}.half"):
        with suppress(PermissionError):
            half.unlink(missing_ok=True)


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
    # write may take less than it was given
    while left.nbytes:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
