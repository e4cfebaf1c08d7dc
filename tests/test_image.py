import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from restorax.files import image
from restorax.files.image import Picture


def _random(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_is_written_is_read_again(tmp_path, channels, alpha, bits, suffix):
    picture = Picture(_random(7, 5, channels), _random(7, 5, 1) if alpha else None, bits)
    path = tmp_path / f"picture{suffix}"
    image.write(path, picture)
    again = image.read(path)
    assert again.bits == bits
    # 16-bit gray with alpha is stored as RGBA, which both libraries can write.
    np.testing.assert_allclose(again.pixels[..., :channels], picture.pixels, atol=0.51 / (2**bits - 1))
    if alpha:
        np.testing.assert_allclose(again.alpha, picture.alpha, atol=0.51 / (2**bits - 1))
    else:
        assert again.alpha is None
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_16_bit_colour_is_the_one_that_another_library_wrote(tmp_path):
    raw = (_random(6, 4, 3) * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), raw[:, :, ::-1])
    np.testing.assert_array_equal(np.round(image.read(tmp_path / "a.png").pixels * 65535), raw)


def test_16_bit_gray_with_alpha_is_read_as_such(tmp_path):
    raw = (_random(3, 5, 2) * 65535).astype(">u2")

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 5, 3, 16, 4, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in raw)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    picture = image.read(tmp_path / "a.png")
    assert picture.bits == 16
    np.testing.assert_array_equal(np.round(picture.pixels * 65535), raw[..., :1])
    np.testing.assert_array_equal(np.round(picture.alpha * 65535), raw[..., 1:])


def test_jpeg_drops_alpha_and_keeps_gray(tmp_path):
    with pytest.warns(UserWarning, match="a.jpg: the format does not hold transparency"):
        image.write(tmp_path / "a.jpg", Picture(np.full((8, 8, 1), 0.5, np.float32), _random(8, 8, 1)))
    again = image.read(tmp_path / "a.jpg")
    assert again.alpha is None
    assert again.pixels.shape == (8, 8, 1)


def test_palette_and_orientation(tmp_path):
    colours = PillowImage.fromarray((_random(4, 6, 3) * 255).astype(np.uint8))
    colours.convert("P").save(tmp_path / "palette.png")
    assert image.read(tmp_path / "palette.png").pixels.shape == (4, 6, 3)
    exif = PillowImage.Exif()
    exif[274] = 6  # turned by 90 degrees
    colours.save(tmp_path / "turned.jpg", exif=exif)
    assert image.read(tmp_path / "turned.jpg").pixels.shape == (6, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_files_are_turned_as_those_of_8_bit(tmp_path, orientation):
    raw = (_random(4, 6, 3) * 255).astype(np.uint8)
    exif = PillowImage.Exif()
    exif[274] = orientation
    PillowImage.fromarray(raw).save(tmp_path / "8.png", exif=exif)
    cv2.imwrite(str(tmp_path / "16.png"), raw[:, :, ::-1].astype(np.uint16) * 257)
    content = (tmp_path / "16.png").read_bytes()
    with PillowImage.open(tmp_path / "8.png") as file:
        chunk = b"eXIf" + file.info["exif"].removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "16.png").write_bytes(content[:33] + chunk + content[33:])
    eight, sixteen = (image.read(tmp_path / name) for name in ("8.png", "16.png"))
    assert (eight.bits, sixteen.bits) == (8, 16)
    np.testing.assert_allclose(sixteen.pixels, eight.pixels, atol=1e-6)


def _tiff(raw, bits, photometric, orientation=1):
    """A file of one strip, written by hand: no library here writes all of them."""
    height, width, *rest = raw.shape
    channels = rest[0] if rest else 1
    data = raw.astype("<u2" if bits == 16 else np.uint8).tobytes() if bits != 12 else _packed(raw)
    places = struct.pack("<" + "H" * channels, *[bits] * channels)
    ends = 8 + len(data) + len(places)
    tags = [(256, width), (257, height), (258, bits if channels == 1 else 8 + len(data)), (259, 1), (262, photometric)]
    tags += [(273, 8), (274, orientation), (277, channels), (278, height), (279, len(data)), (284, 1)]
    entries = [struct.pack("<HHII", t, 4, 1, v) for t, v in tags]
    if channels > 1:
        entries[2] = struct.pack("<HHII", 258, 3, channels, 8 + len(data))
    table = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", ends) + data + places + table


def _packed(raw):
    """Rows of 12 bits a pixel."""
    return b"".join(int("".join(f"{v:012b}" for v in row), 2).to_bytes(len(row) * 12 // 8, "big") for row in raw)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_of_16_bits_is_turned_once(orientation):
    raw = (_random(4, 6, 3) * 255).astype(np.uint16)
    eight = image.decode(_tiff(raw, 8, 2, orientation), "8.tif")
    sixteen = image.decode(_tiff(raw * 257, 16, 2, orientation), "16.tif")
    assert (eight.bits, sixteen.bits) == (8, 16)
    np.testing.assert_allclose(sixteen.pixels, eight.pixels, atol=1e-6)


def test_gray_of_more_than_8_bits_is_read_as_it_is_shown(tmp_path):
    raw = np.array([[0, 4095, 2048, 1000]] * 2)
    twelve, black, white = (
        image.decode(_tiff(raw * scale, bits, zero), "a.tif")
        for scale, bits, zero in ((1, 12, 1), (16, 16, 1), (16, 16, 0))
    )
    np.testing.assert_allclose(twelve.pixels[..., 0], raw / 4095, atol=1e-5)
    np.testing.assert_allclose(black.pixels[..., 0], raw * 16 / 65535, atol=1e-5)
    np.testing.assert_allclose(white.pixels, 1 - black.pixels, atol=1e-5)
    assert twelve.bits == black.bits == white.bits == 16
    PillowImage.fromarray((raw * 16).astype(np.uint16)).save(tmp_path / "a.png", transparency=4095 * 16)
    np.testing.assert_array_equal(image.read(tmp_path / "a.png").alpha[..., 0], raw != 4095)


def test_16_bit_ppm(tmp_path):
    raw = (_random(6, 4, 3) * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.ppm"), raw[:, :, ::-1])
    np.testing.assert_array_equal(np.round(image.read(tmp_path / "a.ppm").pixels * 65535), raw)


def test_luma_is_the_one_of_pillow():
    raw = (_random(9, 9, 3) * 255).astype(np.uint8)
    expected = np.asarray(PillowImage.fromarray(raw).convert("L")).astype(int)
    luma = np.round(image.to_channels(raw.astype(np.float32) / 255, 1)[..., 0] * 255).astype(int)
    assert np.abs(luma - expected).max() <= 1
    assert (luma == expected).mean() > 0.95


def test_bad_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        image.read(tmp_path / "absent.png")
    with pytest.raises(ValueError, match="is a folder"):
        image.read(tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match="not an image"):
        image.read(tmp_path / "text.png")
    image.write(tmp_path / "whole.png", Picture(_random(64, 64, 3)))
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="damaged"):
        image.read(tmp_path / "cut.png")
    with pytest.raises(ValueError, match="unknown suffix"):
        image.write(tmp_path / "a.xyz", Picture(_random(4, 4, 1)))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        image.write(tmp_path / "absent" / "a.png", Picture(_random(4, 4, 1)))


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_picture_is_not_written(tmp_path):
    good = np.full((4, 4, 3), 0.5, np.float32)
    for picture, error, message in (
        (Picture((good * 255).astype(np.uint8)), TypeError, r"`pixels` must be floating point in \[0, 1\], got uint8"),
        (Picture(good * np.nan), ValueError, "`pixels` must be finite"),
        (Picture(good[..., 0]), ValueError, r"`pixels` must have shape \[height, width, 1 or 3\], got \(4, 4\)"),
        (Picture(good[None]), ValueError, "`pixels` must have shape"),
        (Picture(good, good[:2, :, :1]), ValueError, "`alpha` must have shape"),
        (Picture(good, bits=12), ValueError, "`bits` must be 8, 16 or 32, got 12"),
    ):
        with pytest.raises(error, match=message):
            image.write(tmp_path / "a.png", picture)
    assert list(tmp_path.iterdir()) == []


def test_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        image.list_pictures(tmp_path / "absent")
    with pytest.raises(ValueError, match="contains no images"):
        image.list_pictures(tmp_path)
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in image.list_pictures(tmp_path)] == ["a.jpg", "b.png"]


def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    (tmp_path / "a.png").write_bytes(b"before")
    monkeypatch.setattr(PillowImage.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        image.write(tmp_path / "a.png", Picture(_random(4, 4, 1)))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.png", b"before")]
