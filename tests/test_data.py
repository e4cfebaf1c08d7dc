"""Clean pictures in, patches out: deterministic, resumable, the same from every source and for every host."""

import sys

import jax
import numpy as np
import pytest

from restorax import data
from restorax.dataset_builder import check, prepare
from restorax.files import image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of five colour pictures, JPEG, PNG and TIFF."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (name, pixels) in enumerate(data.sample_images(3).items()):
        suffix = ("png", "jpg", "tif")[number % 3]
        image.write(folder / f"{name}.{suffix}", image.Picture(pixels[:120, : 100 + number]))
    return folder


@pytest.fixture(scope="module")
def datasets(pictures, tmp_path_factory):
    """Where the same pictures lie as the TFDS dataset ``five``."""
    folder = tmp_path_factory.mktemp("datasets")
    prepare(pictures, "five", data_dir=folder)
    return folder


def test_patches_depend_on_seed_and_index_alone(pictures):
    first, second = (data.FolderPatches(pictures, size=32, channels=3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first[1234], second[1234])
    assert first[0].shape == (32, 32, 3)
    assert first[0].dtype == np.uint8
    other = data.FolderPatches(pictures, size=32, channels=3, seed=6)
    assert any((first[i] != other[i]).any() for i in range(3))


def test_every_picture_is_drawn_once_per_epoch(tmp_path):
    for level in range(5):
        pixels = np.full((40, 40, 1), level * 40 / 255, np.float32)
        image.write(tmp_path / f"{level}.png", image.Picture(pixels))
    source = data.FolderPatches(tmp_path, size=16, channels=1, seed=0)
    epochs = [[int(source[5 * e + i].mean()) // 40 for i in range(5)] for e in range(6)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_batches_do_not_depend_on_where_they_start(pictures):
    source = data.FolderPatches(pictures, size=16, channels=1)
    whole = [patches for _, patches in zip(range(5), data.batches(source, batch=3, start=0), strict=False)]
    late = next(iter(data.batches(source, batch=3, start=4)))
    np.testing.assert_array_equal(whole[4], late)
    np.testing.assert_array_equal(whole[0][1], source[1])


def test_damaged_and_small_pictures_are_named_and_skipped(pictures, tmp_path):
    image.write(tmp_path / "good.png", image.Picture(np.zeros((64, 64, 3), np.float32)))
    image.write(tmp_path / "small.png", image.Picture(np.zeros((8, 64, 3), np.float32)))
    (tmp_path / "broken.png").write_text("no")
    (tmp_path / "link.png").symlink_to(tmp_path / "absent.png")
    source = data.FolderPatches(tmp_path, size=32, channels=3)
    assert len(source.pictures) == 1
    for name in ("broken.png", "small.png", "link.png"):
        assert any(name in line for line in source.skipped)
    (tmp_path / "good.png").unlink()
    with pytest.raises(ValueError, match="contains no usable image"):
        data.FolderPatches(tmp_path, size=32, channels=3)


def test_hosts_read_disjoint_rows_of_one_batch(pictures):
    source = data.FolderPatches(pictures, size=16, channels=1)
    whole = [patches for _, patches in zip(range(3), data.batches(source, batch=4, start=5), strict=False)]
    parts = [
        [patches for _, patches in zip(range(3), data.batches(source, batch=4, start=5, rows=rows), strict=False)]
        for rows in ([0, 2], [1, 3])
    ]
    for step in range(3):
        np.testing.assert_array_equal(whole[step][[0, 2, 1, 3]], np.concatenate([part[step] for part in parts]))


def test_without_grain_there_is_a_way_out(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    source = data.FolderPatches(pictures, size=16, channels=1)
    with pytest.raises(ValueError, match="requires the package grain; without it, train with --in-memory"):
        next(data.batches(source, batch=1, start=0))


# --- TFDS ---


@pytest.mark.parametrize("channels", [1, 3])
def test_a_prepared_dataset_gives_the_patches_of_its_folder(pictures, datasets, channels):
    folder = data.open_patches(pictures, size=32, channels=channels, seed=3)
    dataset = data.open_patches("tfds:five", size=32, channels=channels, seed=3, data_dir=datasets)
    assert dataset.count == folder.count
    for index in (0, 1, 2, 3, 4, 5, 77, 10**9):
        np.testing.assert_array_equal(folder[index], dataset[index])
    assert dataset.title == f"{folder.count} images of the TFDS dataset five/1.0.0, split train"
    assert "tensorflow" not in sys.modules


def test_prepare_splits_by_content_and_names_what_it_leaves_out(pictures, tmp_path):
    import shutil

    folder = shutil.copytree(pictures, tmp_path / "in")
    (folder / "broken.png").write_bytes(b"no")
    (folder / "link.png").symlink_to(folder / "absent.png")
    card = prepare(folder, "some", data_dir=tmp_path, validation=0.4, licence="CC0")
    count = len(list(pictures.iterdir()))
    assert card["splits"] == {"train": count - 2, "validation": 2}
    assert card["skipped"] == ["broken.png is not an image that can be read", "link.png: no such file"]
    assert card == check("some", data_dir=tmp_path)
    for split, length in card["splits"].items():
        assert data.open_patches(f"tfds:some@{split}", size=16, channels=3, data_dir=tmp_path).count == length
    with pytest.raises(ValueError, match="exists already"):
        prepare(folder, "some", data_dir=tmp_path)


def test_prepare_refuses_what_it_cannot_do(pictures, tmp_path):
    for name in ("Two words", "été", "_a", "1a", ""):
        with pytest.raises(ValueError, match="not a valid dataset name"):
            prepare(pictures, name, data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"`validation` must be in \[0, 1\), got"):
        prepare(pictures, "five", data_dir=tmp_path, validation=1.5)
    with pytest.raises(ValueError, match=r"leaves none of .* images to train on"):
        prepare(pictures, "five", data_dir=tmp_path, validation=0.99)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        prepare(tmp_path / "absent", "five", data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_dataset_does_not_pass_its_check(pictures, tmp_path):
    prepare(pictures, "five", data_dir=tmp_path)
    record = next((tmp_path / "five" / "1.0.0").glob("*.array_record*"))
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 1
    record.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="SHA-256 differs"):
        check("five", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="has no data_card"):
        check("six", data_dir=tmp_path)


def test_damaged_records_are_named_once_and_their_turn_goes_to_the_next(pictures, tmp_path, monkeypatch):
    prepare(pictures, "five", data_dir=tmp_path)
    intact = data.open_patches("tfds:five", size=32, channels=1, data_dir=tmp_path)
    damaged = data.open_patches("tfds:five", size=32, channels=1, data_dir=tmp_path)
    original = damaged._read

    def read(number):
        if number == 1:
            raise ValueError("picture 1 is damaged")
        return original(number)

    monkeypatch.setattr(damaged, "_read", read)
    same = [(intact[i] == damaged[i]).all() for i in range(4 * intact.count)]
    assert same.count(False) == 4  # once in each epoch
    assert damaged.skipped == ["picture 1 is damaged"]
    monkeypatch.setattr(damaged, "_cache", dict.fromkeys(range(intact.count)))
    with pytest.raises(ValueError, match=r"all of the .* are unusable; the first: picture 1 is damaged"):
        damaged[0]


def test_a_flipped_bit_in_a_record_is_named_not_fatal(pictures, tmp_path):
    card = prepare(pictures, "five", data_dir=tmp_path)
    folder = tmp_path / "five" / "1.0.0"
    record = next(folder.glob("*.array_record*"))
    content = bytearray(record.read_bytes())
    content[len(content) // 3] ^= 1
    record.write_bytes(bytes(content))
    source = data.open_patches("tfds:five", size=32, channels=1, data_dir=tmp_path)
    patches = [source[i] for i in range(card["splits"]["train"])]
    assert {p.shape for p in patches} == {(32, 32, 1)}
    (line,) = source.skipped
    assert "five/1.0.0, split train cannot be read" in line


def test_unknown_datasets_and_splits_are_refused(pictures, datasets):
    with pytest.raises(FileNotFoundError, match="no dataset 'six'"):
        data.open_patches("tfds:six", size=32, channels=1, data_dir=datasets)
    with pytest.raises(ValueError, match="no split 'test'; available: train"):
        data.open_patches("tfds:five@test", size=32, channels=1, data_dir=datasets)


# --- device memory ---


def test_crops_in_device_memory_are_patches_of_the_pictures(tmp_path):
    """Every crop, turned back, lies in its picture; all pictures and all eight turns come up."""
    rng = np.random.default_rng(0)
    for number, shape in enumerate(((20, 30), (33, 17))):
        image.write(tmp_path / f"{number}.png", image.Picture(rng.random((*shape, 1), np.float32)))
    source = data.FolderPatches(tmp_path, size=8, channels=1)
    pictures = data.DeviceImages.of(source)
    assert pictures.pixels.shape == (2, 33, 30, 1)
    crops = jax.jit(_crops)(pictures, jax.random.split(jax.random.key(0), 200))
    windows = {}
    for number, picture in enumerate(source.pictures):
        for top, left in np.ndindex(picture.shape[0] - 7, picture.shape[1] - 7):
            windows[picture[top : top + 8, left : left + 8].tobytes()] = number
    seen = set()
    for crop in np.asarray(crops):
        turns = [(k, flip) for k in range(4) for flip in (False, True)]
        found = [(windows[key], *t) for t in turns if (key := _turned(crop, *t).tobytes()) in windows]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 16


def _crops(pictures, keys):
    return jax.vmap(lambda key: pictures.crop(key, size=8))(keys)


def _turned(crop, k, flip):
    crop = np.rot90(crop, k)
    return crop[:, ::-1] if flip else crop
