"""Adapting an entry to one's own images: the noise is measured, and what was held out decides."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import data, zoo
from restorax.adaptation import adapt, loop, measure_noise, save_adaptation
from restorax.adaptation.judges import Judge, corner, corner_judge
from restorax.degrade import parse
from restorax.files import image

ENTRY = "dncnn-gray-noise25"


@pytest.fixture(scope="module")
def small():
    """A network of a few parameters that leaves images as they are."""
    from restorax.models.create import create

    model, params = create("dncnn", channels=1, depth=2, width=4)
    card = dataclasses.replace(
        zoo.Card.read(zoo.ZOO / ENTRY), name="small", config={"channels": 1, "depth": 2, "width": 4}
    )
    return zoo.Restorer(jax.tree.map(lambda p: 0.3 * p, params), model, card)


@pytest.fixture(scope="module")
def scenes():
    return [pixels[100:228, 100:228] for pixels in list(data.sample_images(1).values())[:4]]


def _degraded(text, scenes):
    degrade = parse(text)
    return [np.asarray(degrade(jax.random.key(i), jnp.asarray(scene)).image) for i, scene in enumerate(scenes)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gaussian_noise(sigma=0.1)", {"sigma": 0.1}),
        ("shot_noise(peak=20)", {"shot": 0.05}),
        ("speckle_noise(sigma=0.2)", {"gain": 0.2}),
        ("stripe_noise(sigma=0.08)", {"rows": 0.08}),
        ("stripe_noise(sigma=0.08, columns=True)", {"columns": 0.08}),
    ],
)
def test_noise_is_measured_by_kind(text, expected, scenes):
    noise = measure_noise(_degraded(text, scenes[:3]))
    assert noise.obstacle == ""
    for name in ("rows", "columns"):
        assert getattr(noise, name) == pytest.approx(expected.get(name, 0), rel=0.25)
    if "sigma" in expected:
        assert noise.sigma == pytest.approx(0.1, rel=0.15)
    at = 0.5
    variance = noise.sigma**2 + noise.shot * at + (noise.gain * at) ** 2
    expected_variance = sum(
        {"sigma": value**2, "shot": value * at, "gain": (value * at) ** 2}.get(name, 0)
        for name, value in expected.items()
    )
    assert variance == pytest.approx(expected_variance, rel=0.35, abs=4e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian_blur(sigma=2)", "the images show no noise"),
        ("correlated_noise(sigma=0.1)", "the noise of neighbouring pixels is correlated"),
        ("salt_and_pepper_noise(amount=0.1)", "the noise is not Gaussian but has outliers"),
    ],
)
def test_damage_that_one_noisy_image_does_not_tell_is_refused(text, message, small, scenes):
    with pytest.raises(ValueError, match=f"{message}.*; give pairs of degraded and clean images, or two shots"):
        adapt(small, [np.round(one * 255) / 255 for one in _degraded(text, scenes)])


@pytest.mark.slow
def test_the_estimate_in_the_corners_is_the_error_there(small, scenes):
    """Stein's estimate, with noise that depends on the intensity."""
    noisy = _degraded("shot_noise(peak=30)", [scenes[0]] * 8)
    noise = measure_noise(noisy)._replace(sigma=0.0, shot=1 / 30, gain=0.0)
    recipe = loop._recipe(small, loop._stage(noise, 32, 1e-4), 0)
    estimated = corner_judge(recipe, noisy, noise).measure(small.params)[:, 0].mean()
    side = corner(128)
    restored = np.stack([np.asarray(small(one)) for one in noisy])
    squares = np.pad((restored - scenes[0]) ** 2, ((0, 0), (0, 0), (0, 0), (0, 0)))
    corners = [
        squares[:, rows, columns]
        for rows in (slice(side), slice(-side, None))
        for columns in (slice(side), slice(-side, None))
    ]
    assert estimated == pytest.approx(np.mean(corners), rel=0.1)


def test_clipped_corners_do_not_dilute_the_estimate(small):
    """An image that is clipped everywhere has no pixel that counts."""
    grain = np.random.default_rng(0).normal(0, 0.1, (2, 64, 64, 1))
    flat, white = np.float32(np.clip([0.5 + grain[0], 1 + grain[1]], 0, 1))
    noise = measure_noise([flat])._replace(sigma=0.1, shot=0.0, gain=0.0)
    recipe = loop._recipe(small, loop._stage(noise, 32, 1e-4), 0)
    alone, both = (corner_judge(recipe, images, noise) for images in ([flat], [flat, white]))
    expected = alone.measure(small.params).mean(0)
    assert expected[0] > 0
    np.testing.assert_allclose(both.measure(small.params).mean(0), expected, rtol=0.2)
    np.testing.assert_array_equal(np.bincount(both.owners), [4, 4])


@pytest.mark.slow
def test_adapting_helps_and_says_on_what(small, scenes, tmp_path):
    noisy = _degraded("gaussian_noise(sigma=0.1)", scenes)
    seen = []
    adapted = adapt(small, noisy, steps=100, learning_rate=3e-3, progress=lambda *values: seen.append(values))
    error = lambda restorer: np.mean([(np.asarray(restorer(y)) - x) ** 2 for y, x in zip(noisy, scenes, strict=True)])  # noqa: E731
    assert adapted.improved
    assert error(adapted.restorer) < 0.8 * error(small)
    assert seen[-1][0] == 1
    again = adapt(small, noisy, steps=100, learning_rate=3e-3)
    jax.tree.map(np.testing.assert_array_equal, again.restorer.params, adapted.restorer.params)
    card = save_adaptation(tmp_path / "mine", adapted, data="4 noisy images", licence="mine")
    assert card.provenance.startswith(
        "small, adapted by `restorax adapt` with 4 noisy images: the error on what was held"
    )
    assert card.training is not None
    assert card.training.stages[0].loss.startswith("recorrupted(sigma=0.")
    jax.tree.map(np.testing.assert_array_equal, zoo.load(tmp_path / "mine").params, adapted.restorer.params)


def test_what_does_not_help_is_not_kept(small, scenes, tmp_path, monkeypatch):
    """Also after Ctrl-C; the entry that is written is the one to start from."""
    pairs = [scenes, [scene**1.1 for scene in scenes]]
    calls = iter(range(9))
    judge = Judge(lambda params: np.full((8, 1), 1.0 + next(calls)), np.arange(8) // 4)
    monkeypatch.setattr(loop, "pair_judge", lambda *_: judge)
    monkeypatch.setattr(loop, "make_step", lambda *_: lambda state, *_: (state, {"loss": jnp.zeros(())}))
    kept = adapt(small, *pairs, steps=2)
    assert not kept.improved
    assert kept.restorer is small
    card = save_adaptation(tmp_path / "mine", kept, data="4 pairs")
    assert "not changed by `restorax adapt` with 4 pairs: kept as it was" in card.provenance
    assert card.data == small.card.data

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "make_step", lambda *_: interrupted)
    assert not adapt(small, *pairs).improved


def test_a_change_within_chance_is_not_kept(small):
    """The differences of the parts decide, not their mean alone."""
    before, stage = np.ones((16, 1)), loop._stage(None, 32, 1e-4)
    shift = np.tile([-0.3, 0.28], 8)[:, None]
    results = [
        loop._result(small, stage, before, before + change, small.params, 5, 1.0) for change in (shift, shift - 0.2)
    ]
    assert [result.improved for result in results] == [False, True]


@pytest.mark.parametrize(
    ("second", "share"),
    [
        (lambda way: 1 - 0.1 * way, 1.0),
        (lambda way: 1 + 0.1 * way * (way - 0.3), 0.25),  # worse from a share of 0.3 on
        (lambda way: 1 + 0.1 * way, 0.0),
    ],
)
def test_no_image_pays_for_the_mean(second, share, small, scenes, monkeypatch):
    """The first image gains; the second decides how far the parameters go from those to start from."""
    start = jax.tree.leaves(small.params)[0]

    def measure(params):
        way = float(np.mean(jax.tree.leaves(params)[0] - start))
        return np.repeat([1 - 0.5 * way, second(way)], 4)[:, None]

    moved = lambda state, *_: (state.replace(ema=jax.tree.map(lambda p: p + 1, state.params)), {"loss": jnp.zeros(())})  # noqa: E731
    monkeypatch.setattr(loop, "pair_judge", lambda *_: Judge(measure, np.arange(8) // 4))
    monkeypatch.setattr(loop, "make_step", lambda *_: moved)
    adapted = adapt(small, scenes, scenes, steps=1)
    assert adapted.improved == (share > 0)
    np.testing.assert_allclose(jax.tree.leaves(adapted.restorer.params)[0], start + share, rtol=1e-5)


def test_an_image_counts_with_its_uncertainty():
    before, owners = np.ones((8, 1)), np.arange(8) // 4
    second = (owners == 1)[:, None]
    noise = np.tile([-0.1, 0.1], 4)[:, None]
    changes = [second * (noise + rise) - ~second * 0.5 for rise in (0.05, 0.15)]
    assert [loop._harms(before + change, before, owners) for change in changes] == [False, True]


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        ([], None, "`images` must have at least one image, got none"),
        ([(63, 80, 1)], None, r"image 0 must have shape \[height, width, 1\] with sides of at least 64 pixels"),
        ([(64, 64, 3)], None, r"image 0 must have shape \[height, width, 1\]"),
        ([(64, 64, 1)], [], "must have the same number, got 1 and 0"),
        ([(64, 64, 1)], [(64, 72, 1)], r"image 0 and its target must have one shape, got \(64, 64, 1\) and"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, targets, message, small):
    arrays = [
        None if shapes is None else [np.zeros(shape, np.float32) for shape in shapes] for shapes in (images, targets)
    ]
    with pytest.raises(ValueError, match=message):
        adapt(small, *arrays)


def test_restorers_that_do_not_fit_are_refused():
    gray = [np.zeros((64, 64, 1), np.float32)]
    with pytest.raises(ValueError, match=r"ffdnet-gray-noise takes a condition \(standard deviation"):
        adapt(restorax.load("ffdnet-gray-noise"), gray)
    with pytest.raises(ValueError, match="takes bursts"):
        adapt(restorax.load("burst_rnn-gray-noise"), gray)
    with pytest.raises(ValueError, match=r"the images are gray, .*; adapt resunet_s-gray-noise"):
        adapt(restorax.load("resunet_s-color-noise"), [np.zeros((64, 64, 3), np.float32)])


def test_the_command_reads_images_pairs_and_frames(run_cli, tmp_path, monkeypatch, scenes):
    folder, given = tmp_path / "shots", {}
    for number in range(3):
        for kind in ("noisy", "clean", "scene"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            image.write(folder / kind / f"{number}.png", image.Picture(scenes[0][: 70 + number * (kind != "scene")]))

    def run(restorer, images, targets, **options):
        given.update(images=images, targets=targets, **options)
        return loop.Adaptation(restorer, False, 1.0, 1.0, 0, 1.0, loop._stage(None, 32, 1e-4), "kept as it was")

    monkeypatch.setattr("restorax.adaptation.adapt", run)
    code, out, _ = run_cli("adapt", ENTRY, folder / "noisy", "--out", tmp_path / "mine", "--minutes", "2")
    assert code == 0
    assert "mine: kept as it was" in out
    assert (len(given["images"]), given["targets"], given["seconds"]) == (3, None, 110)
    assert zoo.load(tmp_path / "mine").card.name == "mine"
    run_cli("adapt", ENTRY, "--pairs", folder, "--out", tmp_path / "mine")
    assert [one.shape for one in given["targets"]] == [(70, 128, 1), (71, 128, 1), (72, 128, 1)]
    (tmp_path / "bursts").mkdir()
    (folder / "scene").rename(tmp_path / "bursts" / "scene")
    run_cli("adapt", ENTRY, "--frames", tmp_path / "bursts", "--out", tmp_path / "mine")
    assert len(given["images"]) == 3
    np.testing.assert_allclose(given["targets"][0], given["images"][1], atol=1e-6)
    code, _, err = run_cli("adapt", ENTRY, "--out", tmp_path / "mine")
    assert code == 2
    assert re.search("give noisy images, or --pairs, or --frames", err)
