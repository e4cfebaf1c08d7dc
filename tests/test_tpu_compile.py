"""What the TPU compiler makes of the training step for a pod that nobody has."""

import csv

import pytest

from restorax.recipes import RECIPES
from restorax.zoo import load


def test_collectives_are_counted_with_their_bytes():
    from benchmarks.tpu_compile import collectives

    program = """
      %a = (f32[3,4]{1,0:T(8,128)}, f32[]) all-reduce(%x, %y), channel_id=1
      %b = bf16[8]{0} all-gather-start(%z), dimensions={0}
      %c = f32[4] add(%all-reduce.1, %d)
    """
    counts, traffic = collectives(program)
    assert counts == {"all-reduce": 1, "all-gather": 1}
    assert traffic == {"all-reduce": 4 * 13, "all-gather": 16}


@pytest.mark.slow
def test_only_gradients_cross_chips_and_memory_does_not_grow():
    pytest.importorskip("libtpu")
    from benchmarks.tpu_compile import compile_training, pod

    name = "resunet_s-gray-noise"
    few, many = (compile_training(RECIPES[name], pod(topology), per_chip=8) for topology in ("v5e:4x4", "v5e:16x16"))
    parameters = load(name).card.parameters
    for row in (few, many):
        assert row["collectives"].endswith(" all-reduce")
        assert row["collectives"].count(" ") == 1
        # Every gradient once, in float32, and the loss; not the average, not the optimiser's state.
        assert row["collective MiB"] == pytest.approx(4 * parameters / 2**20, abs=0.01)
    assert many["held MiB"] <= few["held MiB"]
    assert many["scratch MiB"] <= 1.02 * few["scratch MiB"]


def test_rows_of_tpu_compile_accept_new_columns(tmp_path):
    from benchmarks.tpu_compile import _keep

    old = {"recipe": "a", "topology": "v5e", "shards": "1", "program": "inference", "GFLOP": "2"}
    path = tmp_path / "compiled.csv"
    _keep(path, old)
    _keep(path, old | {"recipe": "b"})
    new = old | {"GFLOP": "3", "date": "2030-01-02", "commit": "abc"}
    _keep(path, new)
    rows = csv.DictReader(path.read_text().splitlines())
    assert list(rows) == [new, old | {"recipe": "b", "date": "", "commit": ""}]
