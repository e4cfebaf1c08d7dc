"""A recipe for tests of training: compiled in a moment, since nothing in them depends on the network."""

import dataclasses

from restorax.recipe import Recipe, Stage, stages

SMALL = Recipe(
    architecture="dncnn",
    config={"channels": 1, "depth": 2, "width": 8},
    stages=(Stage(steps=12, degradation="gaussian_noise(sigma=uniform(0, 55/255))", batch=4, patch=32),),
    evaluation=("gaussian_noise(sigma=25/255)",),
    limits="a test",
    paper="none",
)
FIRST_STAGE = SMALL.stages[0]


def with_steps(*steps, later=None, **fields):
    """The small recipe with stages of so many steps."""
    fields = {f.name: getattr(FIRST_STAGE, f.name) for f in dataclasses.fields(Stage) if f.name != "steps"} | fields
    return dataclasses.replace(SMALL, stages=stages(*steps, later=later, **fields))
