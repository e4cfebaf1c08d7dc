"""Time and memory of ``restorax restore`` on images of many sizes: ``python -m benchmarks folders``."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from restorax.data import sample_images
from restorax.files import image

from .options import PUBLISH
from .record import record, table

PIPELINE = """
import sys
from pathlib import Path

import apache_beam as beam
from restorax.beam import RestoreImages

source, target, model, workers = sys.argv[1:]
flags = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
pairs = [(str(path), str(Path(target) / path.name)) for path in sorted(Path(source).iterdir())]
if __name__ == "__main__":
    with beam.Pipeline(options=beam.options.pipeline_options.PipelineOptions(flags)) as pipeline:
        pipeline | beam.Create(pairs) | beam.Reshuffle() | RestoreImages(model)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60, help="number of images [60]")
    parser.add_argument("--sizes", type=int, default=30, help="number of sizes [30]")
    parser.add_argument("--least", type=int, default=100, help="smallest side in pixels [100]")
    parser.add_argument("--most", type=int, default=300, help="largest side in pixels [300]")
    parser.add_argument("--model", default="resunet_s-color-noise", help="entry, or automatic [resunet_s-color-noise]")
    parser.add_argument("--workers", type=int, nargs="*", default=[], help="processes of Beam [none]")
    parser.add_argument("--quick", action="store_true", help="smoke test: three small images, nothing recorded")
    parser.add_argument("--publish", action="store_true", help=PUBLISH)
    options = parser.parse_args()
    if options.quick:
        options.images, options.sizes, options.least, options.most = 3, 2, 16, 32
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "in", Path(place) / "cache"
        write_images(folder, options)
        environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
        environment["XDG_CACHE_HOME"] = str(cache)
        for run in ("empty cache", "warm cache"):
            out = Path(place) / run
            command = ["-m", "restorax", "restore", str(folder), str(out)]
            command += [] if options.model == "automatic" else ["--model", options.model]
            rows.append({"run": run} | measure(command, out, options.images, environment))
        for workers in options.workers:
            out = Path(place) / f"beam{workers}"
            command = ["-c", PIPELINE, str(folder), str(out), options.model, str(workers)]
            rows.append({"run": f"Beam, {workers} workers"} | measure(command, out, options.images, environment))
    setting = {"model": options.model, "images": options.images, "sizes": options.sizes}
    setting["sides"] = f"{options.least} to {options.most}"
    rows = [setting | row for row in rows]
    print(table(rows))
    if not options.quick:
        record("folders", rows, publish=options.publish)


def write_images(folder: Path, options: argparse.Namespace) -> None:
    """Write crops of a photograph with noise, of as many sizes as wanted, in random order."""
    photograph = sample_images(3)["astronaut"]
    random = np.random.default_rng(0)
    sizes: set[tuple[int, int]] = set()
    while len(sizes) < options.sizes:
        sizes.add(tuple(map(int, random.integers(options.least, options.most + 1, 2))))
    ordered = random.permutation(sorted(sizes))
    folder.mkdir()
    for i in range(options.images):
        height, width = ordered[i % len(ordered)]
        top, left = (
            random.integers(side - part + 1) for side, part in zip(photograph.shape, (height, width), strict=False)
        )
        clean = photograph[top : top + height, left : left + width]
        noise = random.normal(scale=25 / 255, size=clean.shape).astype(np.float32)
        image.write(folder / f"{i:05}.png", image.Picture(clean + noise))


def measure(command: list[str], out: Path, images: int, environment: dict[str, str]) -> dict:
    """Run a command; return seconds, images per second, and the largest memory over the first and the last third.

    The memory is that of the process itself, not of its children.
    """
    start, peaks = time.perf_counter(), [0, 0, 0]
    process = subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        done = len(list(out.iterdir())) if out.is_dir() else 0
        third = min(3 * done // images, 2)
        peaks[third] = max(peaks[third], _resident(process.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command[:4])} ended with exit code {process.returncode}")
    first, _, last = peaks
    row = {"seconds": seconds, "images_per_s": images / seconds}
    return row | {"first_third_MiB": first / 2**20, "last_third_MiB": last / 2**20}


def _resident(process: int) -> int:
    """Return the memory of a process in bytes, 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
