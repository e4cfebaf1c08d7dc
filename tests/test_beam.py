"""The transform for Apache Beam, on its local runner."""

import numpy as np
import pytest

from restorax import restore, zoo
from restorax.files import image

beam = pytest.importorskip("apache_beam")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Beam's own
def test_every_image_is_restored_once_and_bad_ones_are_kept_apart(tmp_path, photograph):
    from restorax.beam import RestoreImages

    (tmp_path / "in").mkdir()
    sizes = {"a.png": (20, 30), "b.png": (25, 31), "c.png": (40, 70)}
    for name, (height, width) in sizes.items():
        image.write(tmp_path / "in" / name, image.Picture(photograph[:height, :width]))
    (tmp_path / "in" / "d.png").write_text("no")
    pairs = [(str(path), str(tmp_path / "out" / path.name)) for path in sorted((tmp_path / "in").iterdir())]

    def run(**options):
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            results = pipeline | beam.Create(pairs) | RestoreImages("arcnn-gray-jpeg", batch=2, **options)
            for kind, found in results.items():
                found | kind >> beam.io.WriteToText(str(tmp_path / kind), shard_name_template="")
        return [(tmp_path / kind).read_text().splitlines() for kind in ("written", "failed")]

    written, failed = run()
    assert sorted(written) == [str(tmp_path / "out" / name) for name in sizes]
    assert len(failed) == 1
    assert "d.png cannot be read as an image" in failed[0]
    restorer = zoo.load("arcnn-gray-jpeg")
    for name in sizes:
        expected = restore(restorer, image.read(tmp_path / "in" / name).pixels)
        np.testing.assert_allclose(image.read(tmp_path / "out" / name).pixels, expected, atol=0.51 / 255)
    (tmp_path / "out" / "b.png").unlink()
    written, failed = run(skip_existing=True)
    assert written == [str(tmp_path / "out" / "b.png")]
    assert len(failed) == 1
