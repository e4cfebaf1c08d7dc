"""Which cases of a parametrised test run by default; the others are slow and run with ``-m slow``."""

import pytest


def first(names, *fast):
    """Mark all but the given names as slow: one of a kind shows a property that code shared by all of them has."""
    unknown = set(fast) - set(names)
    assert not unknown, unknown
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]
