"""A PNG made small: the renderer's fast 300 KB become 10 to 30 KB with a palette, which fits a metadata entry."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

COLOURS = 64
"""Size of the palette. Areas keep their exact colour; blends along edges take the nearest one of the palette."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR_ALPHA, _PALETTE, _SUB = 6, 3, 1


class PngError(ValueError):
    """Raised when the renderer's PNG is not laid out as expected; names what differs and the remedy."""


def packed(image: bytes) -> bytes:
    """Return the PNG with a palette of at most COLOURS colours, deflated at the highest level, without resolution.

    Raises PngError unless the image is 8-bit RGBA with rows filtered by Sub, as resvg in vl-convert writes it.
    """
    pixels = _pixels(image)
    palette, places = _palette(pixels)
    height, width = places.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), places]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def _pixels(image: bytes) -> NDArray[np.uint8]:
    """Return the colours, height x width x RGB."""
    chunks = list(_chunks(image))
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    stream = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    rows = np.frombuffer(stream, np.uint8).reshape(height, -1)
    # checked and not assumed: another renderer may filter rows otherwise, and the picture would be noise
    if form != [8, _TRUECOLOUR_ALPHA, 0, 0, 0] or not (rows[:, 0] == _SUB).all():
        raise PngError(
            f"the renderer's PNG has form {form} and row filters {np.unique(rows[:, 0])}, expected RGBA and Sub. "
            "Pin vl-convert-python to the version of requirements.lock, or mend pictures/pixels.py."
        )
    # Sub stores each pixel less the one before it, modulo 256: a running sum in uint8 undoes it
    return rows[:, 1:].reshape(height, width, 4).cumsum(axis=1, dtype=np.uint8)[:, :, :3]


def _palette(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the most frequent colours (ties: the darker first) and for each pixel the place of its nearest one."""
    weights = np.array([1 << 16, 1 << 8, 1], np.int64)
    codes, inverse, counts = np.unique(pixels @ weights, return_inverse=True, return_counts=True)
    colours = codes[:, None] // weights % 256
    palette = colours[np.argsort(-counts, kind="stable")[:COLOURS]]
    distances = ((colours[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    places = distances.argmin(axis=1).astype(np.uint8)[inverse]
    return palette.astype(np.uint8), places.reshape(pixels.shape[:2])


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(image):
        (length,) = struct.unpack_from(">I", image, at)
        yield image[at + 4 : at + 8], image[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
