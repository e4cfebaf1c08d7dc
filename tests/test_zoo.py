"""Published entries: the tests that none of them skips; then what is refused."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import zoo
from restorax.data import other_images
from restorax.models.receptive_field import measure_receptive_field
from restorax.recipes import RECIPES
from tests.tiers import first

ROOT = Path(__file__).parent.parent

NAMES = zoo.list_models()
SMALL = min(NAMES, key=lambda name: zoo.Card.read(zoo.ZOO / name).parameters)

# One entry of each task is tested by default, the others with the slow tests.
ONE_PER_TASK = first(
    NAMES,
    "dncnn-gray-noise25",
    "arcnn-gray-jpeg",
    "scanunet_s-gray-missing",
)


@pytest.fixture
def entry(tmp_path):
    """A copy of the smallest entry, to be damaged."""
    return shutil.copytree(zoo.ZOO / SMALL, tmp_path / "entry")


@pytest.mark.parametrize("name", first(NAMES, "arcnn-gray-jpeg"))
def test_receptive_field_on_the_card_is_measured(name):
    restorer = restorax.load(name)
    assert measure_receptive_field(restorer.model) == restorer.card.receptive_field


def test_the_zoo_is_a_download_that_nobody_minds():
    assert NAMES
    assert sum(path.stat().st_size for path in zoo.ZOO.rglob("*") if path.is_file()) < 80e6


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_what_its_card_says(name):
    restorer = restorax.load(name)
    card = restorer.card
    assert card.name == name
    assert sum(p.size for p in jax.tree.leaves(restorer.params)) == card.parameters
    assert all(np.isfinite(p).all() for p in jax.tree.leaves(restorer.params))
    assert {p.dtype for p in jax.tree.leaves(restorer.params)} == {jnp.dtype("float32")}
    assert card.recipe == RECIPES[name]
    assert card.degradation == RECIPES[name].degradation
    optional = {"condition", "receptive_field", "config", "provenance", "halo", "throughput", "pair_results"}
    for field in dataclasses.fields(card):
        if field.name not in optional:
            assert getattr(card, field.name), f"{field.name} is empty"
    files = {p.name for p in (zoo.ZOO / name).iterdir()}
    assert files == {"card.json", "params.safetensors", "preview.png"}
    assert sum(p.stat().st_size for p in (zoo.ZOO / name).iterdir()) < 6e6


@pytest.mark.parametrize("name", ONE_PER_TASK)
def test_entry_restores_crops_about_as_well_as_its_card_says(name):
    from restorax.data import sample_images

    restorer = restorax.load(name)
    for result in restorer.card.results:
        assert result.psnr > result.input_psnr
    # Motion blur is estimated poorly on small images, and 16 of the pixels are cropped.
    part = slice(64, 320) if name.endswith(("-blur", "-blur-direct")) else slice(128, 256)
    crops = {n: picture[part, part] for n, picture in sample_images(restorer.card.channels).items()}
    for degradation in restorer.card.evaluation:
        run = lambda *observed: restorax.restore(restorer, *observed)  # noqa: E731
        result = restorax.evaluate(run, crops, degradation, dataset="crops")
        stated = np.mean([r.psnr - r.input_psnr for r in restorer.card.results if r.degradation == degradation])
        assert result.psnr - result.input_psnr > max(0.4 * stated, stated - 2) - 0.25  # small crops of other pictures


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resunet_s-gray-jpeg", "scanunet_s-gray-missing", "unet-color-missing"])
def test_numbers_of_cards_come_again(name):
    restorer = restorax.load(name)
    run = lambda *observed: restorax.restore(restorer, *observed)  # noqa: E731
    kinds = other_images(restorer.card.channels)
    numbers = [r for r in restorer.card.ood_results if r.dataset in kinds]
    assert len(numbers) == len(kinds) * len(restorer.card.evaluation)
    for stated in numbers:
        result = restorax.evaluate(run, kinds[stated.dataset], stated.degradation, dataset=stated.dataset)
        assert result.psnr == pytest.approx(stated.psnr, abs=0.01)
        assert result.ssim == pytest.approx(stated.ssim, abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "resunet_s-gray-noise",
        pytest.param("scanunet_s-gray-missing", marks=pytest.mark.slow),
        pytest.param("burst_rnn-gray-noise", marks=pytest.mark.slow),
    ],
)
def test_restorer_crosses_jit_and_vmap(name):
    restorer = restorax.load(name)
    frames = (3,) if name.startswith("burst") else ()
    images = jax.random.uniform(jax.random.key(0), (2, *frames, 16, 16, restorer.card.channels))
    condition = jnp.ones((2, 16, 16, restorer.model.condition.channels)) if restorer.card.condition.channels else None
    expected = restorer(images, condition)
    jitted = jax.jit(lambda r, x, c: r(x, c))
    np.testing.assert_allclose(jitted(restorer, images, condition), expected, atol=1e-5)
    jitted(restorax.load(name), images, condition)
    assert jitted._cache_size() == 1  # two loads of one entry share a compiled function
    mapped = jax.vmap(lambda x, c: restorer(x, c), (0, None if condition is None else 0))(images, condition)
    np.testing.assert_allclose(mapped, expected, atol=1e-5)
    if condition is None:
        spread = jax.pmap(lambda r, x: r(x, None), in_axes=(None, 0))(restorer, images[:, None])[:, 0]
        np.testing.assert_allclose(spread, expected, atol=1e-5)


def test_save_and_load_are_deterministic(tmp_path):
    restorer = restorax.load(SMALL)
    for name in ("a", "b"):
        zoo.save(tmp_path / name, restorer.card, restorer.params)
    first, second = ((tmp_path / n / "params.safetensors").read_bytes() for n in ("a", "b"))
    assert first == second == (zoo.ZOO / SMALL / "params.safetensors").read_bytes()
    again = restorax.load(tmp_path / "a")
    jax.tree.map(np.testing.assert_array_equal, again.params, restorer.params)
    assert again.card == restorer.card


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(FileNotFoundError, match=rf"did you mean .*{SMALL}"):
        restorax.load(SMALL[:-1])


def test_a_training_directory_without_an_entry_is_told_apart(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="the first validation writes one"):
        restorax.load(tmp_path)


def test_other_parameters_are_refused(entry):
    path = entry / "params.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="SHA-256 differs"):
        restorax.load(entry)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="has no params"):
        restorax.load(entry)


def _edit(entry, **changes):
    path = entry / "card.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def test_incomplete_cards_are_refused(entry):
    _edit(entry, paper=...)
    with pytest.raises(ValueError, match="missing required field `paper`"):
        restorax.load(entry)
    _edit(entry, paper="x", colour="blue")
    with pytest.raises(ValueError, match="unknown fields: colour"):
        restorax.load(entry)
    (entry / "card.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        restorax.load(entry)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(zoo.Card)])
def test_a_field_of_another_type_is_refused(entry, field):
    right = json.loads((entry / "card.json").read_text()).get(field, [])
    for wrong in (1.5, "text", True, [1], {"a": [1]}, [{"a": 1}], None):
        if type(wrong) is type(right) or (field, wrong) in ACCEPTED:
            continue
        _edit(entry, **{field: wrong})
        with pytest.raises(ValueError, match=rf"card\.json: Expected .*{field}|card\.json has unknown fields"):
            zoo.Card.read(entry)


ACCEPTED = (
    *((field, None) for field in ("receptive_field", "training", "halo")),
    ("flops_per_megapixel", 1.5),
)


@pytest.mark.parametrize("content", ["[" * 100_000, "[1]", "\ud800", '"x"'])
def test_what_is_no_card_is_refused(entry, content):
    (entry / "card.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"card\.json (is not valid JSON|must hold a JSON object)"):
        zoo.Card.read(entry)


def test_a_card_of_other_parameters_is_refused(entry):
    for changes, message in (
        ({"parameters": 5}, r"holds \d+ parameters in float16; its card says 5 in float16"),
        ({"parameter_dtype": "float32"}, r"in float16; its card says \d+ in float32"),
    ):
        before = (entry / "card.json").read_text()
        _edit(entry, **changes)
        with pytest.raises(ValueError, match=message):
            zoo.verify(entry)
        (entry / "card.json").write_text(before)


def test_parameters_of_another_architecture_are_refused(entry):
    _edit(entry, architecture="dncnn", config={"channels": 1})
    with pytest.raises(ValueError, match=r"parameter \S+ has .*; this architecture expects"):
        restorax.load(entry)
    _edit(entry, architecture="vgg")
    with pytest.raises(ValueError, match="unknown architecture 'vgg'"):
        restorax.load(entry)


def test_weights_of_open_terms_are_named_and_start_from_such():
    cards = {name: zoo.Card.read(zoo.find(name)) for name in zoo.list_models()}
    is_open = {name for name, card in cards.items() if "open terms" in card.weights_licence}
    for page in ("README.md", "NOTICE"):
        paragraph = re.search(r"so are the weights of.*?open|Those of.*?open", (ROOT / page).read_text(), re.DOTALL)
        assert paragraph, page
        assert set(re.findall(r"\b[a-z_]+-(?:color|gray)-[a-z-]+", paragraph[0])) == is_open, page
    for name in is_open:
        assert "open631" in cards[name].data, name
        assert cards[name].training is not None, name
        assert cards[name].training.start in {"", *is_open}, name
