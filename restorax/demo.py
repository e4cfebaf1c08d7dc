"""Demo: run every published restorer on scikit-image photographs and write an HTML contact sheet."""

import dataclasses
import functools
import html
from collections.abc import Sequence
from pathlib import Path

from . import zoo
from .data import sample_images
from .evaluation import evaluate
from .files import image
from .files.atomic import written_beside
from .inference import restore
from .recipe import middle
from .zoo import Result

PAGE = "index.html"
PARTS = ("degraded", "restored", "clean")


@dataclasses.dataclass(frozen=True)
class Strip:
    """One photograph, degraded, restored and clean, side by side; of a video, its last frame.

    Attributes:
        file: PNG file in the demo folder.
        photograph: name of the photograph.
        height: height of the strip in pixels.
        width: width of the strip in pixels.
        input_psnr: PSNR of the degraded image in dB; of a video, the mean of its frames.
        psnr: PSNR in dB of the restored image, rounded to 8 bits; of a video, the mean of its frames.
    """

    file: str
    photograph: str
    height: int
    width: int
    input_psnr: float
    psnr: float


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """Results of one restorer on the photographs: mean quality and strips."""

    name: str
    result: Result
    strips: tuple[Strip, ...]


def degradation_of(name: str) -> str:
    """Return the demo degradation of an entry: the middle one of its evaluation."""
    return middle(zoo.Card.read(zoo.find(name)).evaluation)


def show(name: str, out: Path) -> DemoResult:
    """Degrade and restore the photographs, and write the strips.

    Args:
        name: a zoo entry.
        out: folder for ``NAME-PHOTOGRAPH.png``; it is created.
    """
    out.mkdir(parents=True, exist_ok=True)
    restorer = zoo.load(name)
    photographs, qualities = sample_images(restorer.card.channels), []
    result = evaluate(
        functools.partial(restore, restorer),
        photographs,
        degradation_of(name),
        dataset="scikit-image",
        measured=qualities.append,
    )
    strips = []
    for photograph, quality in zip(sorted(photographs), qualities, strict=True):
        strip = image.strip(quality.degraded, quality.restored, quality.clean)
        file = f"{name}-{photograph}.png"
        image.write(out / file, strip)
        height, width, _ = strip.pixels.shape
        strips.append(Strip(file, photograph, height, width, quality.input_psnr, quality.psnr))
    return DemoResult(name, result, tuple(strips))


def write_page(results: Sequence[DemoResult], out: Path) -> Path:
    """Write the contact sheet, one HTML page that loads only the strips, and return its path."""
    with written_beside(out / PAGE) as beside:
        beside.write_text(_page(results), encoding="utf-8")
    return out / PAGE


def _page(results: Sequence[DemoResult]) -> str:
    contents = "".join(f'<li><a href="#{_text(one.name)}">{_text(one.name)}</a></li>\n' for one in results)
    sections = "".join(map(_section, results))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>restorax demo</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>restorax demo</h1>
<p>Photographs degraded and restored by {len(results)} entries of the zoo. Each strip shows the degraded, the
restored and the clean image; numbers are the PSNR before and after. Select a strip to see it at full size.</p>
</header>
<nav aria-label="Entries"><ul>
{contents}</ul></nav>
<main>
{sections}</main>
</body>
</html>
"""


def _section(one: DemoResult) -> str:
    name, result = _text(one.name), one.result
    labels = "".join(f"<span>{part}</span>" for part in PARTS)
    figures = "".join(
        f"""<figure>
<div class="labels" aria-hidden="true">{labels}</div>
<a href="{_text(strip.file)}"><img src="{_text(strip.file)}" width="{strip.width}" height="{strip.height}" \
loading="lazy" alt="{_text(strip.photograph)}: degraded, restored by {name}, and clean"></a>
<figcaption>{_text(strip.photograph)}: {_change(strip.input_psnr, strip.psnr)}</figcaption>
</figure>
"""
        for strip in one.strips
    )
    return f"""<section id="{name}">
<h2>{name}</h2>
<p><code>{_text(result.degradation)}</code></p>
<p>Mean PSNR of {result.images} images: {_change(result.input_psnr, result.psnr)}, SSIM {result.ssim:.4f}</p>
<div class="strips">
{figures}</div>
</section>
"""


def _change(before: float, after: float) -> str:
    return f"{before:.2f} → <strong>{after:.2f} dB</strong>"


_text = html.escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --faint: #5b6168; --line: #d9dce0; --link: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --paper: #131517; --faint: #a3a9b0; --line: #33383d; --link: #8ab4f8; }
}
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 0; }
p { margin: 0.3rem 0; max-width: 60rem; }
nav ul { list-style: none; margin: 1rem 0; padding: 0; display: grid; gap: 0.25rem 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
.strips { display: grid; gap: 1rem; margin-top: 0.75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr)); }
figure { margin: 0; }
.labels { display: grid; grid-template-columns: repeat(3, 1fr); text-align: center; }
.labels, figcaption { color: var(--faint); font-size: 0.85rem; }
figcaption strong { color: var(--ink); }
img { display: block; width: 100%; height: auto; }
"""
