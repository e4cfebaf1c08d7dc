"""Odd image files: what is read is true, and what is written again is equal, or a sentence says why not."""

import io
import struct
import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageCms, PngImagePlugin

from restorax.files import image, png
from restorax.files.frames import Frames, read_frames, read_single, write_frames
from restorax.files.mask import read_mask
from tests import odd_files as odd
from tests.tiers import first

RGB, GRAY, RGBA = odd.pixels(3), odd.pixels(1), odd.pixels(4)
RGB16, GRAY16, RGBA16 = odd.pixels(3, 16), odd.pixels(1, 16), odd.pixels(4, 16)
LA, LA16 = RGBA[..., [0, 3]], RGBA16[..., [0, 3]]
FLOAT = (RGB16 / 65535).astype(np.float32)
PLANES, BITS, GRAYS = np.moveaxis(RGB16, 2, 0), GRAY > 99, np.repeat(GRAY, 3, 2)
PREMULTIPLIED = np.dstack([np.round(RGB16 * (RGBA16[..., 3:] / 65535)), RGBA16[..., 3]]).astype(np.uint16)
PREMULTIPLIED_8 = np.round(PREMULTIPLIED / 257).astype(np.uint8)
VOLUME = np.zeros((3, 16, 16, 1), np.uint8)
P3, LINEAR, DOT_GAIN = odd.profile(2.2, odd.DISPLAY_P3), odd.profile(1.0), odd.profile(1.8, gray=True)
LOSSY, STEP = 0.1, 0.51 / 65535

# Maker, stored values that are expected, their largest, tolerance after writing again.
EQUAL = {
    "rgb.png": (lambda p: odd.save(p, RGB), RGB, 255, 0),
    "gray.png": (lambda p: odd.save(p, GRAY), GRAY, 255, 0),
    "la.png": (lambda p: odd.save(p, LA), LA, 255, 0),
    "rgba.png": (lambda p: odd.save(p, RGBA), RGBA, 255, 0),
    "palette.png": (lambda p: odd.save(p, RGB, "P"), None, 255, 0),
    "1-bit.png": (lambda p: PillowImage.fromarray(BITS[..., 0]).save(p), BITS * 255, 255, 0),
    "p3.png": (lambda p: odd.save(p, RGB, icc_profile=P3), None, 255, 0),
    "linear.png": (lambda p: odd.save(p, RGB, icc_profile=LINEAR), None, 255, 0),
    "table-profile.png": (lambda p: odd.save(p, RGB, icc_profile=odd.profile([0, 9000, 65535])), None, 255, 0),
    "gray-profile.png": (lambda p: odd.save(p, GRAY, icc_profile=DOT_GAIN), None, 255, 0),
    "rgb16.png": (lambda p: odd.png16(p, RGB16, 2), RGB16, 65535, 0),
    "rgba16.png": (lambda p: odd.png16(p, RGBA16, 6), RGBA16, 65535, 0),
    "la16.png": (lambda p: odd.png16(p, LA16, 4), LA16, 65535, 0),
    "gray16.png": (lambda p: odd.png16(p, GRAY16, 0), GRAY16, 65535, 0),
    "444.jpg": (lambda p: odd.save(p, RGB, quality=90, subsampling=0), RGB, 255, LOSSY),
    "gray-profile.jfif": (lambda p: odd.save(p, GRAY, icc_profile=DOT_GAIN), None, 255, LOSSY),
    "cmyk.jpg": (lambda p: odd.cmyk(p, RGBA, quality=95), None, 255, LOSSY),
    "lossy.webp": (lambda p: odd.save(p, RGB, quality=90), RGB, 255, LOSSY),
    "lossless.webp": (lambda p: odd.save(p, RGBA, lossless=True, exact=True), RGBA, 255, 0),
    "lossy.avif": (lambda p: odd.save(p, RGB, quality=95, subsampling="4:4:4"), RGB, 255, LOSSY),
    "rgb.bmp": (lambda p: odd.save(p, RGB, dpi=(300, 300)), RGB, 255, 0),
    "rgb.ppm": (lambda p: odd.save(p, RGB), RGB, 255, 0),
    "lzw.tif": (lambda p: odd.save(p, RGB, compression="tiff_lzw"), RGB, 255, 0),
    "cmyk.tif": (lambda p: odd.cmyk(p, RGBA), None, 255, 0),
    "jpeg.tif": (lambda p: odd.save(p, RGB, compression="jpeg", quality=95), RGB, 255, LOSSY),
    "group4.tif": (lambda p: PillowImage.fromarray(BITS[..., 0]).save(p, compression="group4"), None, 255, 0),
    "premultiplied.tif": (lambda p: odd.tiff(p, PREMULTIPLIED, extrasamples=[1]), RGBA16, 65535, STEP),
    "rgba.tif": (lambda p: odd.tiff(p, RGBA16, extrasamples=[2], compression="zlib"), RGBA16, 65535, 0),
    "unspecified.tif": (lambda p: odd.tiff(p, RGBA16, extrasamples=[0]), RGBA16, 65535, 0),
    "premultiplied-8.tif": (lambda p: odd.tiff(p, PREMULTIPLIED_8, extrasamples=[1]), RGBA, 255, 0.01),
    "unspecified-8.tif": (lambda p: odd.tiff(p, RGBA, extrasamples=[0]), RGBA, 255, 0),
    "planar.tif": (lambda p: odd.tiff(p, PLANES, photometric="rgb", planarconfig="separate"), RGB16, 65535, 0),
    "lzw-16.tif": (lambda p: odd.lzw16(p, RGB16), RGB16, 65535, 0),
    "linear-16.tif": (lambda p: odd.tiff(p, RGB16, iccprofile=LINEAR, predictor=2, compression="zlib"), None, 65535, 0),
    "signed.tif": (lambda p: odd.tiff(p, (GRAY16[..., 0] // 2).astype(np.int16)), GRAY16 // 2, 32767, 0),
    "white-is-zero.tif": (lambda p: odd.tiff(p, GRAY16[..., 0], photometric="miniswhite"), 65535 - GRAY16, 65535, STEP),
    "float.tif": (lambda p: odd.tiff(p, FLOAT), FLOAT, 1, 0),
    "float16.tif": (lambda p: odd.tiff(p, FLOAT[..., 0].astype(np.float16)), None, 1, 0),
    "double.tif": (lambda p: odd.tiff(p, FLOAT.astype(np.float64)), FLOAT, 1, 0),
    "big-endian.tif": (lambda p: tifffile.imwrite(p, RGB16, photometric="rgb", byteorder=">"), RGB16, 65535, 0),
    "pages.tif": (lambda p: odd.tiff(p, RGB, GRAY16[..., 0], FLOAT), RGB, 255, 0),
    "animated.gif": (lambda p: odd.animation(p, [GRAYS, 255 - GRAYS, GRAYS]), GRAY, 255, STEP),
    "animated.png": (lambda p: odd.animation(p, [RGB, RGB[::-1], RGB[:, ::-1]]), RGB, 255, 0),
    "animated.webp": (lambda p: odd.animation(p, [RGB, RGB[::-1], RGB[:, ::-1]], lossless=True), RGB, 255, 0),
}  # fmt: skip
FAST = set(EQUAL) - {"lossy.avif", "jpeg.tif", "lzw.tif", "lossy.webp", "rgba16.png", "double.tif", "table-profile.png"}
NEEDS_CODECS = ("lzw.tif", "lzw-16.tif")


@pytest.mark.filterwarnings("ignore:TIFF is written with Deflate")
@pytest.mark.parametrize("name", first(EQUAL, *FAST))
def test_what_goes_in_comes_out(tmp_path, name):
    make, truth, largest, tolerance = EQUAL[name]
    source, target = tmp_path / name, tmp_path / f"out-{name}"
    make(source)
    before = read_frames(source)
    if truth is not None:
        one = before.pictures[0]
        both = one.pixels if one.alpha is None else np.concatenate([one.pixels, one.alpha], 2)
        expected = truth if both.shape[2] in (truth.shape[2], 1) else truth[..., [0, 0, 0, -1]]
        np.testing.assert_allclose(both, expected / largest, atol=max(5 * tolerance, 1e-6))
    write_frames(target, before)
    after = read_frames(target)
    assert len(before.pictures) == len(after.pictures)
    assert (before.milliseconds, before.loop) == (after.milliseconds, after.loop)
    for one, again in zip(before.pictures, after.pictures, strict=True):
        assert (again.bits, again.metadata.dtype) == (one.bits, one.metadata.dtype)
        np.testing.assert_allclose(again.pixels, image.to_channels(one.pixels, again.pixels.shape[2]), atol=tolerance)
        np.testing.assert_array_equal(again.inks is None, one.inks is None)
        if one.alpha is None:
            assert again.alpha is None
        else:
            np.testing.assert_allclose(again.alpha, one.alpha, atol=tolerance)
        if name not in NEEDS_CODECS:
            kept = one.metadata.compression if name not in ("jpeg.tif", "group4.tif") else (8, 1)
            assert again.metadata.compression == kept
    if source.suffix == ".tif" and tolerance == 0 and name not in (*NEEDS_CODECS, "group4.tif"):
        stored = tifffile.imread(source, key=0)
        stored = np.moveaxis(stored, 0, -1) if name == "planar.tif" else stored
        np.testing.assert_array_equal(tifffile.imread(target, key=0), stored)
    if source.suffix == ".png" and len(after.pictures) == 1 and name not in ("palette.png", "1-bit.png", "la16.png"):
        stored, written = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (source, target))
        np.testing.assert_array_equal(written, stored)


REFUSED = {
    "lab.tif": (lambda p: odd.save(p, RGB, "LAB"), "stores colours as"),
    "five.tif": (lambda p: odd.tiff(p, np.zeros((8, 8, 5), np.uint8)), "has 5 channels"),
    "volume.tif": (lambda p: odd.tiff(p, VOLUME, volumetric=True, tile=(16, 16, 16)), "volume"),
    "signed.tif": (lambda p: odd.tiff(p, np.array([[-5, 7]], np.int16)), "from -5 to 7; .* --range LOW,HIGH"),
    "int32.tif": (lambda p: odd.tiff(p, np.array([[0, 70000]], np.int32)), "holds int32 values from 0 to 70000"),
    "hdr.tif": (lambda p: odd.tiff(p, FLOAT * 4), "holds float32 values .* --range LOW,HIGH"),
    "nan.tif": (lambda p: odd.tiff(p, FLOAT * np.nan), "NaN"),
    "cmyk16.tif": (lambda p: odd.tiff(p, RGBA16, photometric="separated"), "holds CMYK of 16 bits"),
    "scene.exr": (lambda p: p.write_bytes(b"\x76\x2f\x31\x01" + bytes(60)), "is OpenEXR, which is not supported"),
    "photo.jxl": (lambda p: p.write_bytes(b"\xff\x0a" + bytes(60)), "is JPEG XL"),
    "drawing.svg": (lambda p: p.write_text("<svg></svg>"), "is SVG"),
    "scan.dcm": (lambda p: p.write_bytes(bytes(128) + b"DICM" + bytes(60)), "is DICOM"),
    "film.mp4": (lambda p: p.write_bytes(b"\0\0\0\x18ftypisom" + bytes(60)), "is of the kind 'isom'"),
    "cut.tif": (lambda p: odd.cut(p, lambda p: odd.tiff(p, FLOAT)), "is damaged"),
    "cut.png": (lambda p: odd.cut(p, lambda p: odd.save(p, RGB)), "is damaged"),
    "cut.webp": (lambda p: odd.cut(p, lambda p: odd.save(p, RGB)), "is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_by_name(tmp_path, name):
    make, message = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message) as refusal:
        image.read(tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)
    assert str(refusal.value).count(". ") == 0


def test_stored_ranges_are_scaled_and_scaled_back(tmp_path):
    stored = FLOAT * 5000 - 100
    odd.tiff(tmp_path / "in.tif", stored)
    picture = image.read(tmp_path / "in.tif", value_range=(0.0, 4000.0))
    np.testing.assert_allclose(picture.pixels, np.clip(stored / 4000, 0, 1), atol=1e-6)
    image.write(tmp_path / "same.tif", picture)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "same.tif"), stored, atol=1e-3)
    image.write(tmp_path / "dark.tif", picture.with_pixels(picture.pixels * 0))
    dark = tifffile.imread(tmp_path / "dark.tif")
    np.testing.assert_allclose(dark, np.minimum(stored, 0) + np.maximum(stored - 4000, 0), atol=1e-3)
    with pytest.raises(ValueError, match="two finite numbers LOW < HIGH, got 1,0"):
        image.read(tmp_path / "in.tif", value_range=(1.0, 0.0))
    odd.tiff(tmp_path / "signed.tif", np.array([[-1000, 0, 3000]], np.int16))
    image.write(tmp_path / "out.tif", image.read(tmp_path / "signed.tif", value_range=(-1000.0, 3000.0)))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), [[-1000, 0, 3000]])


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_tone_curves_are_those_of_little_cms(tmp_path, gamma):
    profile = odd.profile(gamma)
    odd.save(tmp_path / "a.png", RGB, icc_profile=profile)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    expected = ImageCms.profileToProfile(PillowImage.fromarray(RGB), source, ImageCms.createProfile("sRGB"))
    difference = image.read(tmp_path / "a.png").pixels - np.asarray(expected) / 255
    assert np.abs(difference).max() < 1.1 / 255
    assert np.abs(difference + np.asarray(expected) / 255 - RGB / 255).max() > 0.01


def test_the_gamma_of_a_png_file_is_a_tone_curve(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add(b"gAMA", struct.pack(">I", 100000))
    odd.save(tmp_path / "gamma.png", RGB, pnginfo=text)
    odd.save(tmp_path / "profile.png", RGB, icc_profile=LINEAR)
    picture = image.read(tmp_path / "gamma.png")
    np.testing.assert_allclose(picture.pixels, image.read(tmp_path / "profile.png").pixels, atol=1e-6)
    image.write(tmp_path / "out.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out.png")), RGB[:, :, ::-1])
    image.write(tmp_path / "out.bmp", picture)
    np.testing.assert_allclose(image.read(tmp_path / "out.bmp").pixels, picture.pixels, atol=0.51 / 255)


def test_a_profile_that_a_format_cannot_hold_is_applied(tmp_path):
    odd.save(tmp_path / "a.png", RGB, icc_profile=P3)
    image.write(tmp_path / "a.bmp", image.read(tmp_path / "a.png"))
    source = ImageCms.ImageCmsProfile(io.BytesIO(P3))
    expected = ImageCms.profileToProfile(PillowImage.fromarray(RGB), source, ImageCms.createProfile("sRGB"))
    written = np.asarray(PillowImage.open(tmp_path / "a.bmp"))
    assert np.abs(written.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.slow  # a restorer is compiled
def test_own_primaries_are_restored_better_than_those_of_srgb():
    import restorax
    from restorax.data import sample_images

    def encode(linear):
        size = np.abs(linear)
        return np.sign(linear) * np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055)

    def decode(values):
        size = np.abs(values)
        return np.sign(values) * np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)

    matrix = np.linalg.inv(np.transpose(odd.SRGB)) @ np.transpose(odd.DISPLAY_P3)
    restorer, gains = restorax.load("resunet_s-color-noise"), []
    for clean in sample_images(3).values():
        clean = clean[:128, :128]
        noisy = clean + np.random.default_rng(0).normal(size=clean.shape) * 15 / 255
        own = restorax.restore(restorer, np.float32(noisy))
        converted = restorax.restore(restorer, np.float32(np.clip(encode(decode(noisy) @ matrix.T), 0, 1)))
        back = encode(decode(np.float64(converted)) @ np.linalg.inv(matrix).T)
        psnr = [float(restorax.metrics.psnr(np.float32(one), clean)) for one in (own, back)]
        gains.append(psnr[0] - psnr[1])
    assert min(gains) > 0.3, gains


def test_a_transparent_colour_of_16_bits_is_alpha(tmp_path):
    odd.png16(tmp_path / "a.png", RGB16, 2)
    key = struct.pack(">3H", *RGB16[3, 4])
    (tmp_path / "a.png").write_bytes(png.insert_chunks((tmp_path / "a.png").read_bytes(), [(b"tRNS", key)]))
    picture = image.read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.alpha, 1 - (RGB16[3, 4] == RGB16).all(2, keepdims=True))
    np.testing.assert_allclose(picture.pixels, RGB16 / 65535, atol=1e-6)


def test_cmyk_follows_the_restored_colours(tmp_path):
    odd.cmyk(tmp_path / "a.tif", RGBA)
    picture = image.read(tmp_path / "a.tif")
    image.write(tmp_path / "b.tif", picture.with_pixels(picture.pixels * 0.9))
    again = image.read(tmp_path / "b.tif")
    assert again.inks is not None
    np.testing.assert_allclose(again.pixels, picture.pixels * 0.9, atol=0.02)
    with pytest.warns(UserWarning, match=r"does not hold CMYK \(written as sRGB\)"):
        image.write(tmp_path / "b.png", picture)
    np.testing.assert_allclose(image.read(tmp_path / "b.png").pixels, picture.pixels, atol=0.51 / 255)


def test_jpeg_is_written_at_the_quality_of_the_input_or_above(tmp_path):
    def layout(name):
        with PillowImage.open(tmp_path / name) as file:
            return file.quantization[0], [part[1:3] for part in file.layer]

    odd.save(tmp_path / "fine.jpg", RGB, quality=99, subsampling=0)
    odd.save(tmp_path / "coarse.jpg", RGB, quality=20, subsampling=2)
    odd.save(tmp_path / "95.jpg", RGB, quality=95, subsampling=2)
    for name in ("fine", "coarse"):
        image.write(tmp_path / f"{name}-out.jpg", image.read(tmp_path / f"{name}.jpg"))
    assert layout("fine-out.jpg") == layout("fine.jpg")
    assert layout("coarse-out.jpg") == layout("95.jpg")
    image.write(tmp_path / "lower.jpg", image.read(tmp_path / "fine.jpg"), quality=20)
    assert layout("lower.jpg")[0] == layout("coarse.jpg")[0]
    with pytest.raises(ValueError, match=r"`quality` must be in \[1, 100\], got 0"):
        image.write(tmp_path / "a.jpg", image.read(tmp_path / "fine.jpg"), quality=0)


def test_large_images_are_refused_by_their_size(tmp_path):
    odd.save(tmp_path / "a.png", RGB)
    odd.tiff(tmp_path / "a.tif", FLOAT)
    for name in ("a.png", "a.tif"):
        with pytest.raises(ValueError, match=r"10 x 12 = 120 pixels, more than 119; .* --max-pixels 120"):
            image.read(tmp_path / name, max_pixels=119)
        assert image.read(tmp_path / name, max_pixels=120).pixels.shape == (12, 10, 3)
    limit = PillowImage.MAX_IMAGE_PIXELS
    odd.claim(tmp_path / "panorama.png", 2**14)
    with pytest.raises(ValueError, match="268435456 pixels, more than 178956970"):
        image.read(tmp_path / "panorama.png")
    assert limit == PillowImage.MAX_IMAGE_PIXELS


def test_frames_and_pages_need_a_format_that_holds_them(tmp_path):
    odd.animation(tmp_path / "a.gif", [RGB, RGB[::-1], RGB])
    odd.tiff(tmp_path / "a.tif", RGB, RGB)
    for name, other, kind in (("a.gif", "b.jpg", "3 frames"), ("a.tif", "b.png", "2 pages")):
        frames = read_frames(tmp_path / name)
        with pytest.raises(ValueError, match=f"{other}: {kind} need a file of the suffix"):
            write_frames(tmp_path / other, frames)
        with pytest.raises(ValueError, match="frames or pages; give a file of one"):
            read_single(tmp_path / name)
    assert len(Frames([image.Picture(FLOAT)]).pictures) == 1


def _mask_file(path, known, mode="L"):
    PillowImage.fromarray(known.astype(np.uint8) * 255).convert(mode).save(path)


def test_masks(tmp_path):
    known = np.ones((12, 10), bool)
    known[3:6, 2:8] = False
    transparent = np.dstack([np.zeros((12, 10, 3), np.uint8), known.astype(np.uint8) * 255])
    makers = {
        "white.png": lambda p: _mask_file(p, known),
        "bit.png": lambda p: _mask_file(p, known, "1"),
        "lossy.jpg": lambda p: _mask_file(p, known),
        "alpha.png": lambda p: odd.save(p, transparent),
        "ones.png": lambda p: odd.save(p, known.astype(np.uint8)),
    }
    for name, make in makers.items():
        make(tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name)[..., 0], known, err_msg=name)
    np.testing.assert_array_equal(read_mask(tmp_path / "alpha.png", "damaged")[..., 0], ~known)

    picture = image.Picture(np.where(known[..., None], odd.pixels() / np.float32(255), 0))
    for make, picture_of, message in (
        (lambda p: _mask_file(p, known & False), None, "marks all pixels as damaged"),
        (lambda p: _mask_file(p, known[:5]), picture, r"must have the size of the image, \(12, 10\), got \(5, 10\)"),
        (lambda p: _mask_file(p, ~known), None, r"marks only 15.0% of the pixels as known"),
        (lambda p: odd.save(p, RGBA), None, "both colours and transparency"),
    ):
        make(tmp_path / "bad.png")
        with pytest.raises(ValueError, match=message):
            read_mask(tmp_path / "bad.png", picture=picture_of)
    half = np.arange(12)[:, None] < np.full(10, 6)  # the upper half is a hole, and marked as known
    _mask_file(tmp_path / "half.png", half)
    halved = image.Picture(np.where(half[..., None], 0, odd.pixels() / np.float32(255)))
    with pytest.raises(ValueError, match="only pixels of one colour as known"):
        read_mask(tmp_path / "half.png", picture=halved)
    assert read_mask(tmp_path / "half.png", "known", halved).mean() == 0.5
    _mask_file(tmp_path / "all.png", known | True)
    with pytest.warns(UserWarning, match="marks all pixels as known; nothing is filled"):
        read_mask(tmp_path / "all.png")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_is_turned_as_its_picture(tmp_path, orientation):
    raw = (np.random.default_rng(0).random((12, 10)) > 0.3).astype(np.uint8) * 255
    odd.save(tmp_path / "photo.png", raw, exif=odd.exif(orientation))
    odd.save(tmp_path / "mask.png", raw)
    picture = image.read(tmp_path / "photo.png")
    assert picture.pixels.shape == (10, 12, 1)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", picture=picture), picture.pixels)


def test_heic_files_keep_what_they_carry(tmp_path):
    pytest.importorskip("pillow_heif")
    picture = image.Picture(RGB.astype(np.float32) / 255, metadata=image.Metadata(icc=P3, xmp=odd.xmp()))
    image.write(tmp_path / "a.heic", picture)
    again = image.read(tmp_path / "a.heic")
    assert (again.metadata.icc, again.metadata.xmp) == (P3, odd.xmp())
    np.testing.assert_allclose(again.pixels, picture.pixels, atol=LOSSY)


def test_camera_raw_data_become_16_bits(tmp_path):
    pytest.importorskip("rawpy")
    odd.dng(tmp_path / "a.dng")
    picture = image.read(tmp_path / "a.dng")
    assert (picture.bits, picture.pixels.shape) == (16, (128, 160, 3))
    assert b"Maker" in picture.metadata.exif
    with pytest.raises(ValueError, match=r"camera raw data cannot be written; give OUT the suffix .tif or .png"):
        image.write(tmp_path / "b.dng", picture)


@pytest.mark.parametrize("compression", ["lzw", "zstd", "packbits"])
def test_other_compressions_of_tiff_are_kept(tmp_path, compression):
    pytest.importorskip("imagecodecs")
    odd.tiff(tmp_path / "a.tif", RGB16, compression=compression)
    image.write(tmp_path / "b.tif", image.read(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].compression.name.lower() == compression
        np.testing.assert_array_equal(file.asarray(), RGB16)


@pytest.mark.parametrize(
    ("name", "content", "extra"),
    [("a.heic", b"\0\0\0\x18ftypheic" + bytes(60), "heif"), ("a.nef", b"MM\0*" + bytes(60), "raw")],
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name, content, extra):
    monkeypatch.setitem(sys.modules, {"heif": "pillow_heif", "raw": "rawpy"}[extra], None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportError, match=rf"{name} is .*; pip install 'restorax\[{extra}\]'"):
        image.read(tmp_path / name)


def test_options_of_the_command_line(tmp_path, run_cli, refused):
    odd.tiff(tmp_path / "in.tif", FLOAT[..., :1][..., 0] * 5000)
    odd.animation(tmp_path / "in.gif", [RGB, RGB[::-1], RGB])
    degrade = ("degrade", tmp_path / "in.tif", tmp_path / "out.tif", "--with", "gaussian_noise(sigma=0.0)")
    assert "holds float32 values from" in refused(*degrade)
    assert run_cli(*degrade, "--range", "0,5000")[0] == 0
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), FLOAT[..., 0] * 5000, atol=1e-3)
    for more, message in (
        (("--range", "low"), "--range must be two numbers LOW,HIGH, got 'low'"),
        (("--range", "0,5000", "--max-pixels", "50"), "give --max-pixels 120"),
    ):
        assert message in refused(*degrade, *more)
    assert "holds 3 frames or pages" in refused("degrade", tmp_path / "in.gif", tmp_path / "out.gif", *degrade[3:])


@pytest.mark.filterwarnings("default")
def test_warnings_are_one_line(tmp_path, run_cli):
    odd.save(tmp_path / "in.png", RGBA)
    code, _, err = run_cli("degrade", tmp_path / "in.png", tmp_path / "out.jpg", "--with", "gaussian_noise(sigma=0.0)")
    assert code == 0
    assert err == "restorax: out.jpg: the format does not hold transparency; .tif holds all\n"


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_fits_is_read_as_pages_of_any_range(kind, tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    cube = np.arange(2 * 12, dtype=kind).reshape(2, 3, 4) * 100 - (200 if kind == "float32" else 0)
    fits.PrimaryHDU(cube).writeto(tmp_path / "cube.fits")
    pages = read_frames(tmp_path / "cube.fits", value_range=(0.0, 2000.0)).pictures
    read = np.stack([page.pixels if page.beyond is None else page.pixels + page.beyond for page in pages])
    np.testing.assert_allclose(read[..., 0] * 2000, cube[:, ::-1], atol=1e-3)
    assert [path.name for path in image.list_pictures(tmp_path)] == ["cube.fits"]
    write_frames(tmp_path / "cube.tif", Frames(pages))
    again = read_frames(tmp_path / "cube.tif", value_range=(0.0, 2000.0)).pictures
    np.testing.assert_allclose(again[1].pixels, pages[1].pixels, atol=1e-6)


def test_fits_without_an_image_or_astropy_says_so(tmp_path, monkeypatch):
    fits = pytest.importorskip("astropy.io.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(ValueError, match=r"empty.fits holds no image of two or three dimensions"):
        image.read(tmp_path / "empty.fits")
    (tmp_path / "bad.fits").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"bad.fits is damaged or cannot be read"):
        image.read(tmp_path / "bad.fits")
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    with pytest.raises(ImportError, match=r"empty.fits is a FITS file; pip install 'restorax\[fits\]'"):
        image.read(tmp_path / "empty.fits")
