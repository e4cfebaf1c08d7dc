"""Time and peak memory of ``restorax restore`` on a large image: ``python -m benchmarks large_image``."""

import argparse
import re
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

# The process reports its own peak, because the peak that the parent sees starts at the parent's memory.
PROGRAM = """
import atexit
from pathlib import Path
from restorax.cli import main
atexit.register(lambda: print(Path("/proc/self/status").read_text()))
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=4000, help="height of the image [4000]")
    parser.add_argument("--width", type=int, default=6000, help="width of the image [6000]")
    parser.add_argument("--model", default="resunet_s-gray-noise", help="entry [resunet_s-gray-noise]")
    parser.add_argument("--quick", action="store_true", help="smoke test: a small image, nothing recorded")
    parser.add_argument("--publish", action="store_true", help=PUBLISH)
    options = parser.parse_args()
    if options.quick:
        options.height, options.width = 300, 400
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.png", Path(folder) / "out.png"
        photograph = sample_images(3)["chelsea"]
        side_y, side_x = photograph.shape[:2]
        repeats = (-(-options.height // side_y), -(-options.width // side_x), 1)
        clean = np.tile(photograph, repeats)[: options.height, : options.width]
        noise = np.random.default_rng(0).normal(scale=25 / 255, size=clean.shape).astype(np.float32)
        image.write(source, image.Picture(clean + noise))
        command = [sys.executable, "-c", PROGRAM, "restore", str(source), str(target), "--model", options.model]
        start = time.perf_counter()
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds = time.perf_counter() - start
        kib = int(re.search(r"VmHWM:\s*(\d+)", output)[1])
        error = image.read(target).pixels - clean
        psnr = -10 * np.log10(np.mean(error**2))
    row = {"model": options.model, "size": f"{options.height}x{options.width}"}
    row |= {"seconds": seconds, "peak_GiB": kib / 2**20, "psnr": f"{psnr:.2f}"}
    print(table([row]))
    if not options.quick:
        record("large_image", [row], publish=options.publish)


if __name__ == "__main__":
    main()
