"""Pairs, bursts and noisy images as training data: the same crops for both, in the depth of the files."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tifffile

from restorax import data
from restorax.degrade import parse
from restorax.files import image
from restorax.paired_data import BurstPatches, NoisyPatches, PairPatches, scaled
from restorax.pairs import find_bursts, find_pairs, measure_shift
from restorax.recipe import Stage
from restorax.sources import Location, Sources, held_out, kinds_of, parse_location, read_held_out
from restorax.train import interrupt, loop
from restorax.train.checkpoint import Checkpoints
from restorax.train.options import Options
from restorax.train.step import init_state, make_draw, make_step
from restorax.train.validation import NoisyValidation, PairValidation, validation_of
from tests.small_recipe import FIRST_STAGE, SMALL, with_steps

GAMMA = "gamma_change(gamma=1.5)"  # of each pixel alone, so degrading files or patches is the same


def _write(path, pixels, bits=8):
    path.parent.mkdir(exist_ok=True, parents=True)
    image.write(path, image.Picture(np.float32(pixels), bits=bits))


@pytest.fixture(scope="module")
def photographs():
    """Five photographs in levels of 8 bits."""
    return {name: pixels[:72, : 64 + 4 * i] for i, (name, pixels) in enumerate(data.sample_images(1).items())}


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    """Pairs degraded once, in float32, and their clean images."""
    folder = tmp_path_factory.mktemp("shots")
    for name, pixels in photographs.items():
        _write(folder / "input" / f"{name}.tif", parse(GAMMA)(jax.random.key(0), jnp.asarray(pixels)).image, 32)
        _write(folder / "target" / f"{name}.tif", pixels, 32)
        _write(folder / "clean" / f"{name}.png", pixels)
    return folder


def _pairs(folder, **options):
    return PairPatches(find_pairs(folder), channels=1, **options)


def test_both_images_of_a_pair_are_cropped_and_turned_alike(folder):
    source, clean = _pairs(folder, size=32), data.FolderPatches(folder / "clean", size=32, channels=1)
    for index in (0, 1, 7, 10**9):
        degraded, target = np.split(source[index], 2, axis=-1)
        np.testing.assert_array_equal(target, scaled(clean[index]))
        np.testing.assert_allclose(degraded, target**1.5, atol=1e-6)
    assert source.title == f"5 pairs of the folder {folder.name}"
    assert re.fullmatch(r"shift .* at most 0(\.1)? pixels \(phase correlation on 5\)", source.notes[0])


@pytest.mark.slow
def test_training_on_files_degraded_once_is_training_on_clean_images(folder):
    """Parameters after 20 steps agree to 1e-6."""
    stage = dataclasses.replace(FIRST_STAGE, patch=16, batch=4, warmup=2, steps=20, degradation=GAMMA)
    of_pairs = dataclasses.replace(stage, source="pairs", degradation="identity()")
    clean = data.FolderPatches(folder / "clean", size=16, channels=1)
    states = []
    for one, source in ((stage, clean), (of_pairs, _pairs(folder, size=16))):
        recipe = dataclasses.replace(SMALL, stages=(one,))
        state, step = init_state(recipe, jax.random.key(0)), jax.jit(make_step(recipe, one))
        batches = data.batches(source, batch=4, start=0)
        for _, patches in zip(range(20), batches, strict=False):
            state, metrics = step(state, patches, jax.random.key(1))
        states.append(state)
    assert float(metrics["loss"]) > 1e-3
    for a, b in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_hosts_read_disjoint_rows_of_mixed_batches_and_the_ratio_is_exact(folder):
    stage = dataclasses.replace(FIRST_STAGE, patch=16, batch=8, source="3 * clean + pairs", degradation=GAMMA)
    assert stage.rows_from_pairs == (False, False, False, True) * 2
    source = Sources([folder / "clean", f"pairs:{folder}"], size=16, channels=1).of(stage)
    whole = next(data.batches(source, batch=8, start=3))
    parts = [next(data.batches(source, batch=8, start=3, rows=rows)) for rows in ([0, 2, 3], [1, 4, 5, 6, 7])]
    np.testing.assert_array_equal(whole[[0, 2, 3, 1, 4, 5, 6, 7]], np.concatenate(parts))
    draw, keys = jax.jit(make_draw(stage)), jax.random.split(jax.random.key(0), 8)
    degraded, clean = draw(keys, whole)
    np.testing.assert_allclose(degraded.image, clean**1.5, atol=1e-6)
    np.testing.assert_array_equal(degraded.image[3], whole[3, ..., :1])
    # Which rows are pairs depends on the row in the whole batch.
    np.testing.assert_array_equal(draw(keys[3:4], whole[3:4], jnp.array([3]))[0].image, degraded.image[3:4])


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (16, np.uint16), (32, np.float32)])
def test_images_stay_in_the_depth_of_their_files(bits, kind, tmp_path):
    levels = np.arange(64, dtype=np.float32).reshape(8, 8, 1) / (2 ** min(bits, 16) - 1)
    _write(tmp_path / "a.tif", levels, bits)
    source = NoisyPatches([tmp_path / "a.tif"], size=8, channels=1)
    assert source[0].dtype == kind
    np.testing.assert_allclose(np.sort(np.asarray(scaled(source[0])).ravel()), levels.ravel(), rtol=1e-6)
    colour = np.random.default_rng(0).random((8, 8, 3), np.float32)
    _write(tmp_path / "b.tif", colour, bits)
    gray = np.asarray(scaled(NoisyPatches([tmp_path / "b.tif"], size=8, channels=1).pictures[0]))
    np.testing.assert_allclose(gray[..., 0], colour @ np.float32([0.299, 0.587, 0.114]), atol=1.1 / 2 ** min(bits, 16))


def test_every_page_of_a_stack_is_an_image_and_values_beyond_the_range_are_kept(tmp_path):
    stack = np.linspace(-100, 1200, 4 * 64, dtype=np.float32).reshape(4, 8, 8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    with pytest.raises(ValueError, match="state those of black and white by --range LOW,HIGH"):
        NoisyPatches([tmp_path / "stack.tif"], size=8, channels=1)
    source = NoisyPatches([tmp_path / "stack.tif"], size=8, channels=1, value_range=(0.0, 1000.0))
    np.testing.assert_allclose(np.stack(source.pictures)[..., 0], stack / 1000, atol=1e-6)


def test_a_burst_gives_a_shot_and_its_mean_or_that_of_the_other_shots(tmp_path):
    for level in (10, 20, 60):
        _write(tmp_path / "scene" / f"{level}.png", np.full((8, 8, 1), level / 255))
    source = BurstPatches(find_bursts(tmp_path), size=8, channels=1)
    assert {(int(s[0, 0, 0]), int(s[0, 0, 1])) for s in map(source.__getitem__, range(30))} == {
        (10, 40),
        (20, 35),
        (60, 15),
    }
    _write(tmp_path / "scene" / "mean.png", np.full((8, 8, 1), 33 / 255))
    source = BurstPatches(find_bursts(tmp_path), size=8, channels=1)
    assert {int(source[i][0, 0, 1]) for i in range(9)} == {33}
    (target,) = read_held_out(f"frames:{tmp_path}", 1, None, every=True).values()
    assert float(target[0, 0, 1]) == pytest.approx(33 / 255)


def test_a_shift_is_measured_and_named(tmp_path):
    scene = data.sample_images(1)["camera"][100:164, 100:164]
    shifted = np.roll(scene, (2, -3), (0, 1)) + np.random.default_rng(0).normal(0, 0.05, scene.shape)
    assert measure_shift(np.float32(shifted), scene) == pytest.approx((2, -3), abs=0.2)
    _write(tmp_path / "lq" / "a.png", shifted.clip(0, 1))
    _write(tmp_path / "gt" / "a.png", scene)
    with pytest.warns(UserWarning, match=r"a.png and its counterpart are shifted by [\d.]+ rows and -[\d.]+ columns"):
        source = _pairs(tmp_path, size=16)
    assert re.search(r"at most (2\.9|3|3\.1) pixels", source.notes[0])


def test_a_dataset_of_two_features_gives_the_pairs_of_its_folder(folder, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    pairs = [(scaled(p[..., :1]), scaled(p[..., 1:])) for p in _pairs(folder, size=16).pictures[:2]]

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION, name, url_infos = tfds.core.Version("1.0.0"), "two", {}

        def _info(self):
            features = tfds.features.FeaturesDict({name: tfds.features.Image() for name in ("noisy", "clean")})
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number, pair in enumerate(pairs):
                for name, pixels in zip(("noisy", "clean"), pair, strict=True):
                    _write(tmp_path / f"{name}.png", pixels)
                yield number, {name: (tmp_path / f"{name}.png").read_bytes() for name in ("noisy", "clean")}

    Builder(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    opened = Sources(["tfds:two[noisy,clean]"], size=16, channels=1, data_dir=tmp_path)
    stored = {p.tobytes() for p in (opened.by_kind["pairs"].picture(i) for i in range(2))}
    assert stored == {np.concatenate([image.quantise(p) for p in pair], -1).tobytes() for pair in pairs}
    with pytest.raises(ValueError, match="has no image feature 'blurred'; available: "):
        Sources(["tfds:two[blurred,clean]"], size=16, channels=1, data_dir=tmp_path)


# --- what is refused ---


def test_what_is_no_set_of_pairs_is_named(folder, tmp_path, photographs):
    scene = photographs["camera"]
    with pytest.raises(FileNotFoundError, match="absent: no such folder"):
        find_pairs(tmp_path / "absent")
    with pytest.raises(ValueError, match="must contain one of the pairs of subfolders input and target, lq and gt"):
        find_pairs(tmp_path)
    _write(tmp_path / "noisy" / "a.png", scene)
    (tmp_path / "clean").mkdir()
    with pytest.raises(ValueError, match=r"clean contains no images"):
        find_pairs(tmp_path)
    _write(tmp_path / "clean" / "b.jpg", scene)
    with pytest.raises(ValueError, match=r"a.png has no counterpart in .*clean; the folders hold 1 and 1 images"):
        find_pairs(tmp_path)
    _write(tmp_path / "clean" / "a.tif", scene[:40])
    (tmp_path / "clean" / "b.jpg").unlink()
    with pytest.raises(ValueError, match="must have the same size, got 68 x 72 and 68 x 40 pixels"):
        _pairs(tmp_path, size=16)
    _write(tmp_path / "clean" / "a.tif", scene, 16)
    with pytest.raises(ValueError, match=r"a.png has 8 bits and .*a.tif has 16; convert them to one bit depth"):
        _pairs(tmp_path, size=16)
    with pytest.raises(ValueError, match="smaller than the patch size of 99 x 99"):
        _pairs(folder, size=99)
    with pytest.raises(ValueError, match="is alone; validation needs a second one"):
        held_out(find_pairs(tmp_path))


def test_what_is_no_burst_is_named(tmp_path, photographs):
    _write(tmp_path / "one" / "a.png", photographs["camera"])
    with pytest.raises(ValueError, match="has one shot alone; a burst needs at least two"):
        find_bursts(tmp_path)
    _write(tmp_path / "one" / "b.png", photographs["camera"])
    _write(tmp_path / "two" / "a.png", photographs["camera"])
    _write(tmp_path / "two" / "gt.png", photographs["camera"])
    with pytest.raises(ValueError, match=r"two has a ground truth and .*one none"):
        BurstPatches(find_bursts(tmp_path), size=8, channels=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos[1,2]", Location("clean", "folder", "photos[1,2]")),
        ("pairs:a/b", Location("pairs", "folder", "a/b")),
        ("pairs:a[*_real*,*_mean*]", Location("pairs", "folder", "a", ("*_real*", "*_mean*"))),
        ("frames:a", Location("pairs", "frames", "a")),
        ("noisy:a", Location("noisy", "folder", "a")),
        ("tfds:a@train", Location("clean", "tfds", "a@train")),
    ],
)
def test_data_is_named_by_text(text, expected):
    assert parse_location(text) == expected


def test_kinds_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="--data gives pairs images twice"):
        kinds_of(["pairs:a", "frames:b"])
    with pytest.raises(ValueError, match="noisy images are trained on alone"):
        kinds_of(["a", "noisy:b"])
    for source in ("dirty", "2 * clean", "clean + clean", "clean + noisy", "0 * clean + pairs", ""):
        if source != "2 * clean":
            with pytest.raises(ValueError, match="`source` must be 'clean', 'pairs', 'noisy' or a ratio"):
                Stage(steps=1, degradation="identity()", source=source)
    with pytest.raises(ValueError, match=r"`degradation` must be 'identity\(\)' with source 'pairs'"):
        Stage(steps=1, degradation=GAMMA, source="pairs")


def test_a_recipe_for_clean_images_takes_what_is_given():
    recipe = with_steps(2, 2)
    assert recipe.for_kinds(("clean",)) is recipe
    of_pairs = recipe.for_kinds(("pairs",))
    assert {(s.source, s.degradation) for s in of_pairs.stages} == {("pairs", "identity()")}
    assert of_pairs.for_kinds(("clean", "pairs")) is of_pairs
    assert recipe.for_kinds(("clean", "pairs")).stages[0].degradation == recipe.degradation


# --- training ---


@pytest.mark.slow
def test_training_on_pairs_validates_on_those_held_out_and_resumes(folder, tmp_path):
    recipe = with_steps(4, source="pairs", degradation="identity()", patch=16, batch=2)
    options = {"data": f"pairs:{folder}", "hold_out": True, "validate_every": 2, "log_every": 1}
    validation = validation_of(None, [options["data"]], 1, None)
    assert isinstance(validation, PairValidation)
    assert len(validation.images) == 1
    loop.train("whole", recipe, Options(workdir=tmp_path / "whole", **options), validation)
    half = with_steps(2, source="pairs", degradation="identity()", patch=16, batch=2)
    two = Options(workdir=tmp_path / "two", **options)
    with pytest.MonkeyPatch.context() as patch:  # stopped after two steps
        patch.setattr(interrupt.Stop, "requested", lambda self, done: done >= 2)
        assert loop.train("two", recipe, two, validation) is None
    loop.train("two", recipe, two, validation)
    states = []
    for name in ("whole", "two"):
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(init_state(half, jax.random.key(9))))
    jax.tree.map(np.testing.assert_array_equal, *states)
    report = (tmp_path / "whole" / "report.md").read_text()
    assert "| step | `pairs` |" in report
    assert "4 pairs of the folder" in (tmp_path / "whole" / "whole" / "card.json").read_text()


def test_noisy_images_alone_are_validated_by_the_loss(folder, tmp_path):
    validation = validation_of(None, [f"noisy:{folder / 'clean'}"], 1, None)
    assert isinstance(validation, NoisyValidation)
    recipe = with_steps(4, source="noisy", degradation="identity()", loss="noise2self")
    psnr, before = validation.measure(lambda image, _: image, recipe)
    assert psnr == before
    better, _ = validation.measure(lambda image, _: jnp.full_like(image, image.mean()), recipe)
    assert better != before
    with pytest.raises(ValueError, match="loss 'l1' needs clean images; give some by --validate"):
        validation.check(with_steps(4), 1)


def test_the_command_trains_on_what_it_is_given(folder, run_cli, refused, monkeypatch, tmp_path):
    given = {}

    def run(name, recipe, options, validation):
        given.update(recipe=recipe, options=options, validation=validation)
        return tmp_path / name

    monkeypatch.setattr("restorax.train.loop.train", run)
    name = "dncnn-gray-noise25"
    code, out, _ = run_cli("train", name, "--data", f"pairs:{folder}")
    assert code == 0
    assert out.startswith("all stages train on pairs images, not on clean images as in the recipe")
    assert {stage.source for stage in given["recipe"].stages} == {"pairs"}
    assert given["options"].hold_out
    assert len(given["validation"].images) == 1
    run_cli("train", name, "--data", folder / "clean", "--data", f"pairs:{folder}", "--validate", f"pairs:{folder}")
    assert given["recipe"].stages[0].source == "clean + pairs"
    assert not given["options"].hold_out
    assert len(given["validation"].images) == 5
    for number in range(2):
        noise = np.random.default_rng(number).normal(0.5, 0.1, (96, 96, 1))
        _write(tmp_path / "noisy" / f"{number}.png", noise)
    run_cli("train", name, "--data", f"noisy:{tmp_path / 'noisy'}", "--loss", "noise2void", "--range", "0,255")
    assert given["recipe"].stages[0].loss == "noise2void"
    assert given["options"].value_range == (0, 255)
    flat = 0.5 + 0.4 * np.sin(np.add.outer(np.arange(96), np.arange(96)) / 20)[:, :, None]
    for number in range(2):
        _write(tmp_path / "flat" / f"{number}.png", flat)
    assert "the images show no noise" in refused(
        "train", name, "--data", f"noisy:{tmp_path / 'flat'}", "--loss", "noise2void"
    )
    assert "must contain one of the pairs of subfolders" in refused(
        "train", name, "--data", f"pairs:{folder / 'clean'}"
    )
