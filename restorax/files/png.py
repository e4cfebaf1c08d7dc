"""Chunks of PNG files (PNG specification, third edition, W3C 2025)."""

import struct
import zlib
from collections.abc import Iterable, Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0"
_KEPT = (b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tIME", b"tEXt", b"zTXt", b"iTXt")


def read_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of the chunks of a PNG file."""
    at = len(_SIGNATURE)
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def insert_chunks(content: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG file with more chunks after its header."""
    end = len(_SIGNATURE) + 25  # the header has 13 bytes of data
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return content[:end] + b"".join(parts) + content[end:]


def descriptive(content: bytes, *, turned: bool = False) -> tuple[tuple[bytes, bytes], ...]:
    """Return the chunks that describe a PNG file, but for profile, EXIF and XMP; axes are swapped if it was turned."""
    kept = []
    for kind, data in read_chunks(content):
        if kind == b"pHYs":
            kept.append((kind, data[4:8] + data[:4] + data[8:] if turned else data))
        elif kind in _KEPT and not data.startswith((_XMP, b"Raw profile type exif\0", b"Raw profile type APP1\0")):
            kept.append((kind, data))
    return tuple(kept)


def read_gamma(chunks: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Return the gamma that a PNG file states where nothing else describes its tone curve; sRGB's is 1 / 2.2."""
    stated = dict(chunks)
    if b"gAMA" not in stated or b"sRGB" in stated or b"cICP" in stated:
        return None
    return struct.unpack(">I", stated[b"gAMA"])[0] / 100000 or None


def describing(
    icc: bytes, exif: bytes, xmp: bytes, comment: bytes, dpi: tuple[float, float] | None
) -> list[tuple[bytes, bytes]]:
    """Return the chunks that hold the given metadata."""
    chunks = []
    if icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1)))
    if exif:
        chunks.append((b"eXIf", exif))
    if xmp:
        chunks.append((b"iTXt", _XMP + b"\0\0\0\0" + xmp))
    if comment:
        chunks.append((b"tEXt", b"Comment\0" + comment))
    return chunks
