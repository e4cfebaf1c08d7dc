"""Makers of odd image files, and of what they carry."""

import struct
import zlib

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, PngImagePlugin
from PIL import Image as PillowImage

# Columns of the sRGB primaries, adapted to D50, as ICC profiles hold them.
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def xmp(orientation=1):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Artist="A. Author"'
        f' tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def pixels(channels=3, bits=8, height=12, width=10):
    """Smooth colours, so that lossy files stay close: ``[height, width, channels]``."""
    y, x = np.mgrid[:height, :width]
    levels = 2**bits - 1
    planes = [(y + 1) / (height + 1), (x + 1) / (width + 1), 1 - (x + y) / (height + width), 0.25 + y * 0.5 / height]
    values = np.stack(planes, -1)[..., :channels] * levels
    return np.round(values).astype(np.uint8 if bits == 8 else np.uint16)


def profile(gamma, primaries=SRGB, gray=False):
    """A matrix or gray ICC profile (ICC.1:2022); ``gamma`` is a number or a table of 16-bit values."""
    fixed = lambda *values: struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))  # noqa: E731
    if np.isscalar(gamma):
        curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    else:
        curve = b"curv\0\0\0\0" + struct.pack(f">I{len(gamma)}H", len(gamma), *gamma)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"odd\0\0" + bytes(78 + 1),
        b"cprt": b"text\0\0\0\0none\0",
    }
    tags[b"wtpt"] = b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249)
    for name, column in zip((b"r", b"g", b"b"), primaries, strict=True):
        if not gray:
            tags |= {name + b"TRC": curve, name + b"XYZ": b"XYZ \0\0\0\0" + fixed(*column)}
    if gray:
        tags[b"kTRC"] = curve
    start, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I", 128 + len(body)) + b"lcms" + b"\x02\x40\0\0" + b"mntr" + (b"GRAY" if gray else b"RGB ")
    header += b"XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249) + bytes(48)
    return header + body


def exif(orientation=1, size=(10, 12)):
    data = PillowImage.Exif()
    data[ExifTags.Base.Make], data[ExifTags.Base.Model] = "Camera & Co.", "One"
    data[ExifTags.Base.DateTime], data[ExifTags.Base.Artist] = "2020:01:02 03:04:05", "A. Author"
    data[ExifTags.Base.Copyright], data[ExifTags.Base.Orientation] = "(c) A. Author", orientation
    data[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExposureTime: (1, 125),
        ExifTags.Base.DateTimeOriginal: "2020:01:02 03:04:05",
        ExifTags.Base.ExifImageWidth: size[0],
        ExifTags.Base.ExifImageHeight: size[1],
        ExifTags.Base.MakerNote: bytes(range(40)),
    }
    data[ExifTags.IFD.GPSInfo] = {1: "N", 2: (48.0, 51.0, 29.5), 3: "E", 4: (2.0, 17.0, 40.0)}
    return data


def save(path, raw, mode=None, **options):
    image = PillowImage.fromarray(raw[:, :, 0] if raw.ndim == 3 and raw.shape[2] == 1 else raw)
    (image.convert(mode) if mode else image).save(path, **options)


def png_text(orientation):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(orientation).decode())
    text.add_text("Author", "A. Author")
    text.add_itxt("Title", "Überschrift", lang="de")
    return text


def png16(path, raw, colour_type):
    """A PNG file of 16 bits by hand: no library here writes gray with alpha."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in raw)
    write_png(path, struct.pack(">IIBBBBB", raw.shape[1], raw.shape[0], 16, colour_type, 0, 0, 0), rows)


def write_png(path, header, rows):
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def claim(path, side):
    """A file whose header claims a gray image that it does not hold."""
    write_png(path, struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), b"")


def cut(path, make):
    """A file without its second half."""
    make(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cmyk(path, raw, **options):
    PillowImage.frombytes("CMYK", raw.shape[1::-1], raw.tobytes()).save(path, **options)


def tiff(path, *pages, **options):
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            kind = "rgb" if page.ndim == 3 and page.shape[2] >= 3 else "minisblack"
            file.write(page, **{"photometric": kind, "metadata": None, **options})


def lzw16(path, raw):
    cv2.imwrite(str(path), raw[:, :, ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])


def animation(path, frames, **options):
    images = [PillowImage.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=[40, 80, 120], loop=0, **options)


def dng(path):
    """Camera raw data of one even Bayer plane."""
    plane = np.full((128, 160), 6000, np.uint16)
    identity = [part for row in np.eye(3, dtype=int).ravel() for part in (int(row), 1)]
    tags = [
        (50706, 1, 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, 2, 0, "Maker One", True),  # UniqueCameraModel
        (271, 2, 0, "Maker", True),
        (272, 2, 0, "One", True),
        (33421, 3, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, 1, 4, (0, 1, 1, 2), True),  # CFAPattern
        (50721, 10, 9, tuple(identity), True),  # ColorMatrix1
        (50717, 4, 1, 16383, True),  # WhiteLevel
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
    ]
    tifffile.imwrite(path, plane, photometric=32803, metadata=None, extratags=tags)
