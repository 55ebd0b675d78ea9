"""A file on a disk that fails while it is read."""

import io
import os
from pathlib import Path


class Failing(io.FileIO):
    """Reads as any file, and fails with ``error``, a number of errno, at the reading after the first ``good`` ones."""

    def __init__(self, path: Path, *, good: int, error: int) -> None:
        super().__init__(path)
        self.good, self.error = good, error

    def read(self, size: int | None = -1, /) -> bytes:
        self.good -= 1
        if self.good < 0:
            raise OSError(self.error, os.strerror(self.error))
        return super().read(size)
