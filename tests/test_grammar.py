"""Degradations as text: parsing, formatting and error messages."""

import dataclasses
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorax import degrade, zoo
from restorax.degrade import (
    REGISTRATIONS,
    Chain,
    Choice,
    Count,
    LogUniform,
    Maybe,
    OneOf,
    Op,
    Range,
    Shuffle,
    Uniform,
    parse,
)
from restorax.recipes import RECIPES
from restorax.types import Observation

# Every string of a recipe or card that begins with one of these is a degradation.
PREFIXES = tuple(f"{word}(" for word in (*degrade.OPERATORS, *degrade.registry.RESERVED))


def _degradations(value):
    if isinstance(value, str):
        yield from [value] if value.startswith(PREFIXES) else []
    elif dataclasses.is_dataclass(value):
        yield from _degradations(vars(value))
    elif isinstance(value, dict):
        yield from _degradations(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _degradations(part)


CARDS = [zoo.Card.read(zoo.ZOO / name) for name in zoo.list_models()]
TEXTS = sorted({*_degradations(list(RECIPES.values())), *_degradations(CARDS)})


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def _image(key):
    return jax.random.uniform(key, (17, 12, 1))


def test_parse_combinations(key):
    kinds = "motion_blur(length=uniform(1, 7), radius=3), defocus_blur(blur_radius=2.0)"
    blurred = f"one_of({kinds}, weights=(0.7, 0.3))"
    with pytest.raises(ValueError, match="is not an operator"):
        parse(f"{blurred} + maybe(jpeg(quality=30), 0.5)")
    both = parse(f"{blurred} + maybe(jpeg(quality=30), probability=0.5)")
    observed = jax.jit(both)(key, jnp.ones((2, 16, 16, 1)))
    np.testing.assert_allclose(observed.image, 1, atol=0.02)
    with pytest.raises(ValueError, match="unexpected keyword"):
        parse("maybe(jpeg(quality=30), chance=0.5)")


def test_parse_equals_construction_in_python(key):
    text = "gaussian_noise(sigma=25/255) + missing_pixels(missing=uniform(0.2, 1 - 0.5))"
    built = Chain(Op(degrade.gaussian_noise, sigma=25 / 255), Op(degrade.missing_pixels, missing=Uniform(0.2, 0.5)))
    _close(parse(text)(key, _image(key)), built(key, _image(key)), 0)
    assert isinstance(parse("gaussian_blur(sigma=1.0, border='circular')")(key, _image(key)), Observation)


@pytest.mark.parametrize("name", degrade.DEGRADATIONS)
def test_presets_round_trip_through_text(name):
    preset = parse(name)
    assert callable(preset)
    assert parse(str(preset)) == preset
    assert hash(parse(str(preset))) == hash(preset)
    assert repr(preset) == f"parse({str(preset)!r})"


def test_degradations_of_recipes_and_cards_round_trip_through_text():
    assert len(TEXTS) > 60
    for text in TEXTS:
        degradation = parse(text)
        assert parse(str(degradation)) == degradation
        assert str(degradation) == text.replace(", 0.50)", ", 0.5)")  # canonical form


def _numbers(accepted):
    low, high = max(accepted.low, -1e3), min(accepted.high, 1e3)
    whole = math.floor(low) + 1 if accepted.exclude_low else math.ceil(low)
    plain = st.floats(low, high, exclude_min=accepted.exclude_low) | st.integers(whole, min(5, math.floor(high)))
    bounds = st.tuples(plain, plain).map(sorted)
    drawn = bounds.map(lambda pair: (Uniform, *pair))
    if low >= 0:
        drawn |= bounds.filter(lambda pair: pair[0] > 0).map(lambda pair: (LogUniform, *pair))
    return plain | drawn | st.integers(0, 255).map(lambda n: n / 255).filter(lambda x: low < x <= high)


def _strengths(name):
    """Strengths of an operator by name; arrays have no text."""
    needed, optional = {}, {}
    for strength, default in REGISTRATIONS[name].defaults.items():
        accepted = REGISTRATIONS[name].ranges.get(strength)
        if isinstance(accepted, Range):
            values = _numbers(accepted)
        elif isinstance(accepted, Count):
            values = st.integers(accepted.low, 40)
        elif isinstance(accepted, Choice):
            values = st.sampled_from(accepted.options)
        elif isinstance(default, bool):
            values = st.booleans()
        else:
            continue
        (needed if default is inspect.Parameter.empty else optional)[strength] = values
    return st.fixed_dictionaries(needed, optional=optional)


# Degradations as tuples, built after hypothesis has drawn them.
_NAMES = [name for name in REGISTRATIONS if name not in ("kernel_blur", "missing_overlay")]
_OPERATORS = st.sampled_from(_NAMES).flatmap(lambda name: st.tuples(st.just(Op), st.just(name), _strengths(name)))


def _combinations(parts):
    several = st.lists(parts, min_size=1, max_size=3)
    weights = st.lists(st.floats(0.1, 9) | st.integers(1, 9), min_size=3, max_size=3)
    return (
        st.tuples(st.just(Chain), st.lists(parts, min_size=2, max_size=3), st.none())
        | st.tuples(st.just(OneOf), several, st.none() | weights)
        | st.tuples(st.just(Shuffle), several, st.none())
        | st.tuples(st.just(Maybe), parts.map(lambda part: [part]), st.floats(0, 1))
    )


def _built(kind, parts, option):
    if kind is Op:
        drawn = {n: v[0](*v[1:]) if isinstance(v, tuple) else v for n, v in option.items()}
        return Op(degrade.OPERATORS[parts], **drawn)
    parts = [_built(*part) for part in parts]
    if option is None:
        return kind(*parts)
    return Maybe(*parts, option) if kind is Maybe else OneOf(*parts, weights=tuple(option[: len(parts)]))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.recursive(_OPERATORS, _combinations, max_leaves=6))
def test_any_degradation_round_trips_through_text(drawn):
    degradation = _built(*drawn)
    back = parse(str(degradation))
    assert back == degradation
    assert hash(back) == hash(degradation)
    assert str(back) == str(degradation)
    assert back.operators == degradation.operators


def test_fractions_of_255_are_formatted_as_such():
    for n in (1, 2.55, 5, 10, 25, 55, 75, 100, 254):
        text = str(Op(degrade.gaussian_noise, sigma=n / 255))
        assert text in (f"gaussian_noise(sigma={n}/255)", f"gaussian_noise(sigma={n / 255!r})")
        assert len(text) <= 30
    assert str(parse("fade(contrast=1 - 0.25, level=-10/255)")) == "fade(contrast=0.75, level=-10/255)"
    assert str(parse("missing_pixels(missing=50/100)")) == "missing_pixels(missing=0.5)"
    assert str(Op(degrade.gaussian_noise, sigma=np.float64(25 / 255))) == "gaussian_noise(sigma=25/255)"


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "jpeg"])
def test_imagenet_c_severities_increase_the_error(name, key, photograph):
    flat = jnp.asarray(photograph[:64, :64])
    severities = [parse(f"imagenet_c-{name}-{severity}") for severity in range(1, 6)]
    run = jax.jit(lambda strengths: Op(severities[0].operator, **strengths)(key, flat).image)
    errors = [float(((run(severity.strengths) - flat) ** 2).mean()) for severity in severities]
    assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian_noise(sigma=", "cannot be parsed: .*; expected text such as"),
        ("", "cannot be parsed"),
        ("blurr(sigma=1)", "unknown operator 'blurr'; accepted are .*gaussian_noise, "),
        ("gaussian_noise(25/255)", "by name"),
        ("gaussian_noise(sigma=0.1, sigma=0.2)", "every strength once"),
        ("gaussian_noise(**{'sigma': 1})", "every strength once and by name"),
        ("gaussian_noise()", "requires the strength 'sigma'"),
        ("gaussian_noise(sgima=1)", "no strength 'sgima'"),
        ("gaussian_noise(sigma=__import__('os').getpid())", "is not a strength"),
        ("gaussian_noise(sigma=open)", "is not a strength"),
        ("gaussian_noise(sigma=1e999)", "must be finite"),
        ("gaussian_noise(sigma=1e308*10)", "must be finite"),
        ("gaussian_noise(sigma=1/0)", "division by zero"),
        ("gaussian_noise(sigma='a'*10000000000)", "must be a number"),
        ("gaussian_noise(sigma=uniform(1))", r"is not a strength; accepted are .*, uniform\(low, high\)"),
        ("gaussian_noise(sigma=uniform(0, 'b'))", "must be a number"),
        ("gaussian_noise(sigma=uniform(1, 0))", "must satisfy low <= high, got 1, 0"),
        ("maybe(jpeg(quality=30), jpeg(quality=40))", "`probability` must be a number"),
        ("one_of()", "at least one degradation"),
        ("one_of(jpeg(quality=3), weights=(1, 2))", "`weights` must be one number per degradation"),
        ("42", "is not an operator"),
        ("jpeg(quality=30) * 2", "is not an operator"),
        ("jpeg(quality=30)\0", "cannot be parsed"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_invalid_text_raises_a_clear_error(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_too_long_or_too_deeply_nested_text_raises_a_clear_error():
    noise = "gaussian_noise(sigma=0.1)"
    assert len(parse(" + ".join([noise] * 300)).operators) == 300
    for text in (" + ".join([noise] * 3000), "one_of(" * 3000 + noise + ")" * 3000):
        with pytest.raises(ValueError, match=r"^A degradation must have at most 10000 characters, got \d+\.$"):
            parse(text)
    for text in ("one_of(" * 400 + noise + ")" * 400, f"gaussian_noise(sigma={'-' * 9000}1)"):
        with pytest.raises(ValueError, match=r"cannot be parsed: too many nested|is nested too deeply") as error:
            parse(text)
        assert len(str(error.value)) < 400


def test_identity_is_the_empty_chain():
    nothing = parse("identity()")
    assert nothing == Chain()
    assert str(nothing) == "identity()"
    assert parse("identity() + jpeg(quality=30)") == parse("jpeg(quality=30)")
    some = parse("one_of(identity(), gaussian_noise(sigma=0.1), weights=(1, 3))")
    assert parse(str(some)) == some
    image = jnp.full((4, 8, 8, 1), 0.5)
    np.testing.assert_array_equal(nothing(jax.random.key(0), image).image, image)
    for text in ("identity(jpeg(quality=30))", "identity(sigma=1)"):
        with pytest.raises(ValueError, match=r"identity\("):
            parse(text)
