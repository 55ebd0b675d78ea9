"""A remote object as a seekable file: only the bytes that are asked for are fetched, each of them once.

Belongs here: which ranges to ask for. Who fetches them, and of which generation, is the caller's business.
"""

import io
from collections.abc import Callable

BLOCK = 1 << 16
"""The least that is fetched at once: a parquet footer, the first thing anybody asks for, fits."""


class RangedObject(io.RawIOBase):
    """Reads ``size`` bytes through ``fetch(first, last)``, both ends included; what was fetched is kept."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes], *, block: int = BLOCK) -> None:
        """Open at the first byte."""
        super().__init__()
        self.size, self._fetch, self._block = size, fetch, block
        self._position = 0
        self._kept: list[tuple[int, bytes]] = []

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
        for first, data in self._kept:
            if first <= start and end <= first + len(data):
                return data[start - first : end - first]
        low, high = start, max(end, min(self.size, start + self._block))
        if end == self.size:
            low = max(0, min(start, end - self._block))
        data = self._fetch(low, high - 1)
        if len(data) != high - low:
            raise OSError(f"{len(data)} bytes came where {high - low} were asked for")
        self._kept.append((low, data))
        return data[start - low : end - low]
