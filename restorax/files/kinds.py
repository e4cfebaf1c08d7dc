"""Kinds of files beyond Pillow: those that extras read, and those that are refused by name."""

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

RAW_SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_REFUSED = {
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"#?RADIANCE": "Radiance HDR",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"SIMPLE  =": "FITS",
    b"\x1aE\xdf\xa3": "a Matroska or WebM video",
}


def is_raw(name: str) -> bool:
    """Return whether the suffix of a name is that of camera raw data."""
    return Path(name).suffix.lower() in RAW_SUFFIXES


def develop(content: bytes, name: str) -> np.ndarray:
    """Develop camera raw data with the white balance of the camera.

    Returns:
        sRGB, ``[height, width, 3]`` uint16.

    Raises:
        ImportError: if rawpy is not installed.
        ValueError: if the file is damaged, or of a camera that rawpy does not know.
    """
    import io

    try:
        import rawpy  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError(f"{name} is camera raw data; pip install 'restorax[raw]'") from None
    try:
        with rawpy.imread(io.BytesIO(content)) as file:
            return file.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ValueError(f"{name} is damaged or cannot be read: {reason}") from None


def register_plugins(content: bytes, name: str) -> None:
    """Make Pillow read HEIC if a file is of that kind.

    Raises:
        ImportError: if pillow-heif is not installed.
    """
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS and b"avif" not in content[8:64]:
        register_heif(name)


def register_heif(name: str) -> None:
    """Make Pillow read and write HEIC.

    Raises:
        ImportError: if pillow-heif is not installed.
    """
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError(f"{name} is a HEIC file; pip install 'restorax[heif]'") from None
    if "HEIF" not in PillowImage.OPEN:
        pillow_heif.register_heif_opener()


def refusal(content: bytes, name: str) -> str:
    """Return a sentence on a file that Pillow does not open."""
    start = content[:64].lstrip().lower() if content[:1] in b" \n<" else content
    kind = next((kind for mark, kind in _REFUSED.items() if start.startswith(mark)), None)
    if content[128:132] == b"DICM":
        kind = "DICOM"
    if content[4:8] == b"ftyp" and kind is None:
        kind = f"of the kind {content[8:12].decode('latin-1').strip()!r} (a video, or an image that Pillow cannot read)"
    if kind is not None:
        return f"{name} is {kind}, which is not supported; convert it to PNG or TIFF"
    return f"{name} is not an image that can be read"


def unread(file: PillowImage.Image, content: bytes) -> str:
    """Return what of an opened file is not read, as the rest of a sentence, or an empty string."""
    frames = getattr(file, "n_frames", 1)
    if file.format == "MPO" and frames > 1:
        return f"holds {frames} images; the first is read, and the others (previews or gain maps) are left out"
    if file.format == "HEIF" and frames > 1:
        return f"holds {frames} images; the main one is read"
    if file.format == "PSD" and frames > 1:
        return "has layers; they are read as one image"
    properties = content.find(b"av1C" if file.format == "AVIF" else b"hvcC")
    if file.format == "AVIF" and properties > 0 and content[properties + 6] & 0x40:
        return "holds more than 8 bits per value; it is read with 8"
    if file.format == "HEIF" and (file.info.get("bit_depth") or 8) > 8:
        return "holds more than 8 bits per value; it is read with 8"
    if file.format == "PNG" and frames > 1 and content[24] == 16:
        return "is an animation of 16 bits; it is read with 8"
    return ""
