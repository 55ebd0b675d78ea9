"""A remote object as a seekable file: only the bytes that are asked for are fetched, each of them once.

Belongs here: which ranges to ask for. Who fetches them, and of which generation, is the caller's business.
"""

import io
from collections.abc import Callable

CHUNK = 1 << 15
"""The least that is fetched at once: most parquet footers, the first thing anybody asks for, fit."""
WHOLE_CHUNKS = 4
"""An object of at most this many chunks is fetched at once."""


class RangedObject(io.RawIOBase):
    """Reads ``size`` bytes through ``fetch(first, last)``, both ends included; what was fetched is kept."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes], *, chunk: int = CHUNK) -> None:
        """Open at the first byte."""
        super().__init__()
        self.size, self._fetch, self._chunk = size, fetch, chunk
        self._position = 0
        self._kept: dict[int, bytes] = {}

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move and return the position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""
        end = self.size if size < 0 else min(self.size, self._position + size)
        data = self._part(self._position, end) if end > self._position else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        """Fill the buffer and return how many bytes were there."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # whatever io hands in supports it
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _part(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to before ``end``; chunks that are missing are fetched in one go."""
        first, last = start // self._chunk, (end - 1) // self._chunk
        if self.size <= WHOLE_CHUNKS * self._chunk:
            first, last = 0, (self.size - 1) // self._chunk
        missing = [chunk for chunk in range(first, last + 1) if chunk not in self._kept]
        if missing:
            self._keep(missing[0], missing[-1])
        data = b"".join(self._kept[chunk] for chunk in range(first, last + 1))
        return data[start - first * self._chunk : end - first * self._chunk]

    def _keep(self, first: int, last: int) -> None:
        low, high = first * self._chunk, min(self.size, (last + 1) * self._chunk)
        data = self._fetch(low, high - 1)
        if len(data) != high - low:
            raise OSError(f"{len(data)} bytes came where {high - low} were asked for")
        for chunk in range(first, last + 1):
            self._kept[chunk] = data[(chunk - first) * self._chunk :][: self._chunk]
