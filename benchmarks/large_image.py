"""Time and peak memory of ``restorax restore`` on a large picture: ``python -m benchmarks.large_image``."""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from restorax import image
from restorax.data import sample_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--model", default="resunet_s-gray-noise")
    parser.add_argument("--quick", action="store_true", help="a small picture, to see that it works")
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
        program = "from restorax.cli import main; main()"
        command = [sys.executable, "-c", program, "restore", str(source), str(target), "--model", options.model]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        error = image.read(target).pixels - clean
        psnr = -10 * np.log10(np.mean(error**2))
    print(f"{options.height} x {options.width} RGB: {seconds:.0f} s, peak {gigabytes:.2f} GiB, {psnr:.2f} dB")


if __name__ == "__main__":
    main()
