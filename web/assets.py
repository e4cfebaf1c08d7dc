"""Make what the page shows and runs: exported networks and damaged samples, in ``public/``.

``python assets.py``, which ``npm run build`` calls, needs ``pip install 'restorax[onnx]'``.
"""

import json
from pathlib import Path

import jax
import numpy as np
import skimage.data
from PIL import Image

from restorax.degrade import parse
from restorax.exporting import export_folder

PUBLIC = Path(__file__).parent / "public"

DAMAGES = {
    "photo": ("Camera or phone photo", "Noise and compression of a real camera", ("resunet_s-color-photo",)),
    "noise": ("Noise", "Grain in all of the picture", ("resunet_s-color-noise", "resunet_s-gray-noise")),
    "jpeg": ("JPEG", "Blocks and ringing around edges", ("resunet_s-color-jpeg", "resunet_s-gray-jpeg")),
    "specks": ("Specks", "Black, white or coloured single pixels", ("resunet_s-gray-impulse",)),
    "blur": ("Blur", "Slightly out of focus or moved", ("prenet-gray-blur",)),
    "any": ("Not sure", "Several of these, or something else", ("resunet_s-color-any",)),
}
"""Entries by what is wrong with a picture: for colour, and for gray if there is one of its own."""

FIELDS = ("name", "file", "bytes", "channels", "limits", "degradation")

SAMPLES = {
    "noise": ("astronaut", (0, 120), "gaussian_noise(sigma=25/255)", "Noisy portrait", "NASA, public domain"),
    "jpeg": ("chelsea", (10, 90), "jpeg(quality=8)", "JPEG cat", "Stéfan van der Walt, CC0"),
    "specks": ("camera", (60, 130), "salt_and_pepper_noise(amount=0.2)", "Specks", "Lav Varshney, CC0"),
}
"""Images of scikit-image by damage: top left corner, degradation, description and terms."""

SIZE = (256, 320)


def make_samples(folder: Path) -> list[dict[str, str]]:
    """Write the damaged samples and return their list."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for damage, (name, (top, left), degradation, title, terms) in SAMPLES.items():
        image = getattr(skimage.data, name)()[top : top + SIZE[0], left : left + SIZE[1]]
        clean = np.float32(image.reshape(*SIZE, -1)) / 255
        damaged = np.clip(parse(degradation)(jax.random.key(0), clean).image, 0, 1)
        pixels = np.asarray(np.round(damaged * 255), np.uint8)
        Image.fromarray(pixels.squeeze()).save(folder / f"{damage}.png")
        samples.append({"file": f"samples/{damage}.png", "damage": damage, "title": title, "terms": terms})
    return samples


def main() -> None:
    """Write ``public/models``, ``public/samples`` and ``public/page.json``."""
    names = sorted({name for _, _, entries in DAMAGES.values() for name in entries})
    entries = {entry["name"]: entry for entry in export_folder(names, PUBLIC / "models")}
    if missing := [f"{name}: {entry['reason']}" for name, entry in entries.items() if "file" not in entry]:
        raise SystemExit("\n".join(missing))
    damages = []
    for key, (title, description, names) in DAMAGES.items():
        networks = [
            {k: entries[name][k] for k in ("name", "file", "bytes", "channels", "limits", "degradation")}
            for name in names
        ]
        damages.append({"id": key, "title": title, "description": description, "networks": networks})
    page = {"damages": damages, "samples": make_samples(PUBLIC / "samples")}
    (PUBLIC / "page.json").write_text(json.dumps(page))


if __name__ == "__main__":
    main()
