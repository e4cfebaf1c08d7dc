"""Tables of model cards in README, zoo/README.md and docs/comparisons.md: ``python -m benchmarks.zoo_table``."""

import re
import textwrap
from pathlib import Path

from restorax import zoo
from restorax.card_markdown import results_table
from restorax.files.atomic import write_atomically

from . import published

ROOT = Path(__file__).parent.parent
README, PAGE, COMPARISONS = ROOT / "README.md", ROOT / "zoo" / "README.md", ROOT / "docs" / "comparisons.md"


# Problem, recommended entry, and the degradation whose result is shown.
CHOICES = (
    ("noise, gray", "resunet_s-gray-noise", "gaussian_noise(sigma=25/255)"),
    ("noise, colour", "resunet_s-color-noise", "gaussian_noise(sigma=25/255)"),
    ("photographs (camera noise, JPEG), colour", "resunet_s-color-photo", "camera_iso_high"),
    ("noise of a known level, gray", "ffdnet-gray-noise", "gaussian_noise(sigma=25/255, with_level=True)"),
    (
        "noise of a known level, colour",
        "resunet_s-color-noise-level",
        "gaussian_noise(sigma=25/255, with_level=True)",
    ),
    (
        "noisy video, colour",
        "video_rnn-color-noise",
        "moving_scene(frames=8, speed=1, objects=1, margin=8) + gaussian_noise(sigma=25/255)",
    ),
    ("noisy burst or video, gray", "burst_rnn-gray-noise", "burst(frames=8, shift=2) + gaussian_noise(sigma=25/255)"),
    ("photon noise (shot, EMCCD, APD), gray", "resunet_s-gray-avalanche", "emccd_noise(peak=10)"),
    ("salt and pepper, random impulses, gray", "resunet_s-gray-impulse", "salt_and_pepper_noise(amount=0.3)"),
    ("JPEG artifacts, gray", "resunet_s-gray-jpeg", "jpeg(quality=20)"),
    ("JPEG artifacts, colour", "resunet_s-color-jpeg", "jpeg(quality=20)"),
    ("blur, gray", "wiener_unet-gray-blur", "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)"),
    ("missing pixels (needs a mask), gray", "scanunet_s-gray-missing", "missing_pixels(missing=0.5)"),
    ("missing pixels or regions (needs a mask), colour", "unet-color-missing", "missing_strokes(thickness=0.4)"),
    (
        "noise, blur and JPEG together, colour",
        "resunet_s-color-any",
        "gaussian_blur(sigma=1) + gaussian_noise(sigma=10/255) + jpeg(quality=40)",
    ),
)


def choices(folder: str = "zoo/") -> str:
    """Markdown, one row per problem: the entry to use, its gain on its first test set, and its cost."""
    rows = ["| problem | entry | example | PSNR gain [dB] | GFLOP/Mpx |", "|---|---|---|---|---|"]
    cards = _cards()
    for problem, name, degradation in CHOICES:
        result = next(r for r in cards[name].results if r.degradation == degradation)
        gain, cost = result.psnr - result.input_psnr, cards[name].flops_per_megapixel / 1e9
        rows.append(f"| {problem} | [`{name}`]({folder}{name}) | `{degradation}` | {gain:+.2f} | {cost:.0f} |")
    return "\n".join(rows)


def entries() -> str:
    """Markdown, one section per entry: preview, task, limits, results, cost and training."""
    return "\n\n".join(_section(name, card) for name, card in _cards().items())


def _section(name: str, card: zoo.Card) -> str:
    start = f" from `{card.training.start}`" if card.training and card.training.start else ""
    facts = [f"Cost: {_cost(card)}."]
    if card.throughput:
        facts.append(
            f"Speed: {'; '.join(f'{mpix:.2f} Mpx/s on {device}' for device, mpix in card.throughput.items())}."
        )
    facts.append(f"Training: {card.steps:,} steps{start}, {card.seconds / 60:.0f} minutes on {card.hardware}.")
    if card.provenance:
        facts.append(f"Provenance: {card.provenance}")
    parts = [
        f"### `{name}`",
        f"![Degraded, restored and clean]({name}/preview.png)",
        _wrapped(f"Undoes `{card.degradation}`."),
        _wrapped(card.limits),
        results_table([*card.results, *card.pair_results]),
        "\n".join(_wrapped(f"- {fact}", indent="  ") for fact in facts),
    ]
    return "\n\n".join(parts)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _cost(card: zoo.Card) -> str:
    field = f"{card.receptive_field} px" if card.receptive_field else "the whole image"
    halo = "" if card.halo is None else f" (an overlap of {card.halo} px keeps tiles within 0.05 dB)"
    size = f"{card.parameters / 1e6:.2f} M parameters, {card.flops_per_megapixel / 1e9:.0f} GFLOP/Mpx"
    return f"{size}, receptive field {field}{halo}"


def pairs() -> str:
    """Markdown: entries measured on the same test set with the same degradation, the best first."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for name, card in _cards().items():
        for r in card.results:
            found.setdefault((published.without_noise_level(r.degradation), r.dataset), []).append((name, r.psnr))
    rows = ["| degradation | test set | entry | PSNR [dB] |", "|---|---|---|---|"]
    for (degradation, dataset), entries in found.items():
        if len(entries) > 1:
            left = f"`{degradation}` | {dataset}"
            for name, psnr in sorted(entries, key=lambda entry: -entry[1]):
                rows.append(f"| {left} | `{name}` | {psnr:.2f} |")
                left = " | "
    return "\n".join(rows)


def published_results() -> str:
    """Markdown: published results and those of the entries, the best last."""
    return published.tables(_cards())


def _cards() -> dict[str, zoo.Card]:
    return {name: zoo.Card.read(zoo.ZOO / name) for name in zoo.list_models()}


def fill(path: Path, marker: str, content: str) -> None:
    """Replace the text between ``<!-- marker -->`` and ``<!-- /marker -->`` in a file."""
    text = path.read_text()
    between = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    new, count = between.subn(lambda marks: f"{marks[1]}{content}\n{marks[2]}", text)
    if count != 1:
        raise ValueError(f"{path} must contain <!-- {marker} --> and <!-- /{marker} --> exactly once, found {count}")
    write_atomically(path, new)


def main() -> None:
    """Update all pages from the cards."""
    fill(README, "zoo", choices())
    fill(PAGE, "choices", choices(folder=""))
    fill(PAGE, "entries", entries())
    fill(COMPARISONS, "pairs", pairs())
    fill(COMPARISONS, "published", published_results())


if __name__ == "__main__":
    main()
