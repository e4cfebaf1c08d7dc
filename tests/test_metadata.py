"""What a file says of itself is the same before and after, but for orientation and dimensions; read by Pillow alone."""

import io
import re
import struct

import numpy as np
import pytest
import tifffile
from PIL import ExifTags
from PIL import Image as PillowImage

from restorax.files import image, metadata
from tests import odd_files as odd
from tests.tiers import first

RGB = odd.pixels()
ICC = odd.profile(2.2)
MUST_CHANGE = {ExifTags.Base.Orientation, ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight}
TAGS = [(33432, "s", 0, "(c) A. Author", True), (315, "s", 0, "A. Author", True), (285, "s", 0, "a page", True)]
TAGS += [(65000, 3, 2, (7, 8), True)]


def _with(turn, **options):
    return {"exif": odd.exif(turn).tobytes(), "xmp": odd.xmp(turn), "icc_profile": ICC, **options}


def _png_text(turn):
    text = odd.png_text(turn)
    text.add(b"gAMA", struct.pack(">I", 45455))
    return text


def _tiff16(path, turn):
    tags = [*TAGS, (274, 3, 1, turn, True), (700, 1, len(odd.xmp(turn)), odd.xmp(turn), True)]
    options = {"resolution": (300.5, 300.5), "resolutionunit": 3, "compression": "zlib", "predictor": 2}
    odd.tiff(path, odd.pixels(bits=16), iccprofile=ICC, extratags=tags, **options)


FILES = {
    "jpeg.jpg": lambda p, turn: odd.save(p, RGB, **_with(turn, dpi=(300, 300), comment=b"a comment")),
    "png.png": lambda p, turn: odd.save(p, RGB, **_with(turn, dpi=(300, 300), pnginfo=_png_text(turn))),
    "webp.webp": lambda p, turn: odd.save(p, RGB, **_with(turn, lossless=True)),
    "avif.avif": lambda p, turn: odd.save(p, RGB, **_with(turn)),
    "tiff.tif": lambda p, turn: odd.save(p, RGB, **_with(turn, dpi=(300, 300))),
    "tiff16.tif": _tiff16,
}


def _dump(path):
    """Everything that a file says, but for what must change."""
    with PillowImage.open(path) as file:
        file.load()
        found, exif = {}, file.getexif()
        for name, directory in (("", exif), ("exif", exif.get_ifd(0x8769)), ("gps", exif.get_ifd(0x8825))):
            for tag, value in directory.items():
                if file.format != "TIFF" or name or tag > 268:  # the others say how a TIFF file stores its pixels
                    found[name, tag] = value
        for key in ("icc_profile", "xmp", "dpi", "comment", "gamma", "XML:com.adobe.xmp"):
            found[key] = file.info.get(key)
        if file.format == "PNG":
            found |= {key: str(value) for key, value in file.text.items()}
    for key in ("xmp", "XML:com.adobe.xmp"):  # Pillow itself removes the orientation of what it turns
        if found[key]:
            found[key] = re.sub(r' *(tiff:Orientation="\d")?/>', "/>", str(found[key]))
    storage = {273, 277, 700, 278, 279, 284, 317, 338, 339, 0x8769, 0x8825}
    changing = MUST_CHANGE | storage
    return {key: value for key, value in found.items() if isinstance(key, str) or key[1] not in changing}


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("name", first(FILES, *(set(FILES) - {"avif.avif"})))
def test_metadata_survives(tmp_path, name, turn):
    source, target = tmp_path / name, tmp_path / f"out-{name}"
    FILES[name](source, turn)
    picture = image.read(source)
    assert picture.pixels.shape[:2] == ((12, 10) if turn == 1 else (10, 12))
    image.write(target, picture)
    before, after = _dump(source), _dump(target)
    assert len(before) >= 9
    assert after == before
    with PillowImage.open(target) as file:
        exif = file.getexif()
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        if ExifTags.Base.ExifImageWidth in inner:
            assert (inner[ExifTags.Base.ExifImageWidth], inner[ExifTags.Base.ExifImageHeight]) == file.size
    np.testing.assert_allclose(image.read(target).pixels, picture.pixels, atol=0.1)
    if name.endswith(".tif"):
        with tifffile.TiffFile(source) as a, tifffile.TiffFile(target) as b:
            kept = set(a.pages[0].tags.keys()) - {274, 278} if turn == 1 else {282, 315, 34675}
            for code in kept - {273, 279, 34665, 34853}:
                assert b.pages[0].tags[code].value == a.pages[0].tags[code].value, code


@pytest.mark.parametrize("target", ["out.png", "out.tif", "out.webp", "out.jpg"])
@pytest.mark.parametrize("source", ["jpeg.jpg", "tiff.tif"])
def test_metadata_is_carried_into_other_formats(tmp_path, source, target):
    FILES[source](tmp_path / source, 6)
    image.write(tmp_path / target, image.read(tmp_path / source))
    before, after = _dump(tmp_path / source), _dump(tmp_path / target)
    described = [key for key in before if isinstance(key, tuple) and (key[0] or key[1] in (271, 272, 306, 315, 33432))]
    assert len(described) >= 10
    for key in [*described, "icc_profile"]:
        assert after[key] == before[key]
    if not target.endswith(".webp"):
        np.testing.assert_allclose(np.float64(after["dpi"]), 300, atol=0.1)


def test_what_a_format_does_not_hold_is_said(tmp_path):
    FILES["jpeg.jpg"](tmp_path / "a.jpg", 1)
    with pytest.warns(UserWarning, match="out.bmp: the format does not hold EXIF, XMP"):
        image.write(tmp_path / "out.bmp", image.read(tmp_path / "a.jpg"))
    deep = image.Picture(np.full((4, 4, 3), 0.5, np.float32), np.full((4, 4, 1), 0.5, np.float32), 16)
    with pytest.warns(UserWarning, match="out.jpg: the format does not hold transparency, 16 bits"):
        image.write(tmp_path / "out.jpg", deep)


def test_exif_data_keep_their_bytes_but_for_orientation_and_size():
    data = odd.exif(6, (10, 12)).tobytes().removeprefix(b"Exif\0\0")
    upright = metadata.upright(data, (12, 10))
    assert len(upright) == len(data)
    assert sum(a != b for a, b in zip(data, upright, strict=True)) == 3  # orientation, width and height
    assert metadata.upright(upright, (12, 10)) == upright
    for damaged in (b"", b"II*\0", data[:40]):
        assert metadata.upright(damaged, (12, 10)) == damaged


def test_photoshop_resources_of_jpeg_survive(tmp_path):
    block = b"8BIM" + struct.pack(">HH", 1028, 0) + struct.pack(">I", 4) + b"IPTC"
    marker = b"Photoshop 3.0\0" + block
    buffer = io.BytesIO()
    odd.save(buffer, RGB, format="JPEG", extra=b"\xff\xed" + struct.pack(">H", len(marker) + 2) + marker)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    for target in ("b.jpg", "b.tif"):
        image.write(tmp_path / target, image.read(tmp_path / "a.jpg"))
        assert image.read(tmp_path / target).metadata.photoshop == block
