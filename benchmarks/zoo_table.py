"""Write what the cards say into README and zoo/README.md: ``python -m benchmarks.zoo_table``."""

import re
from pathlib import Path

from restorax import zoo
from restorax.files import written_beside

from . import published

ROOT = Path(__file__).parent.parent
README, PAGE = ROOT / "README.md", ROOT / "zoo" / "README.md"


# What is wrong with the image, the entry for it, and which of its results stands for it.
CHOICES = (
    ("noise, gray", "resunet_s-gray-noise", "gaussian_noise(sigma=25/255)"),
    ("noise, colour", "resunet_s-color-noise", "gaussian_noise(sigma=25/255)"),
    ("noise of a known level, gray", "ffdnet-gray-noise", "gaussian_noise(sigma=25/255, with_level=True)"),
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
    """Markdown, one row per problem: the entry to use, its PSNR gain on its first test set, and its cost."""
    rows = ["| problem | entry | example | PSNR gain [dB] | GFLOP/Mpx |", "|---|---|---|---|---|"]
    cards = _cards()
    for problem, name, degradation in CHOICES:
        result = next(r for r in cards[name].results if r.degradation == degradation)
        gain, cost = result.psnr - result.input_psnr, cards[name].flops_per_megapixel / 1e9
        rows.append(f"| {problem} | [`{name}`]({folder}{name}) | `{degradation}` | {gain:+.2f} | {cost:.0f} |")
    return "\n".join(rows)


def entries() -> str:
    """Markdown, one section per entry: every result of its card."""
    parts = []
    for name, card in _cards().items():
        field = f"sees {card.receptive_field} px" if card.receptive_field else "sees the whole image"
        if card.halo is not None:
            field += f" (tiles lose less than 0.05 dB with {card.halo} px around them)"
        cost = f"{_size(card)} parameters, {card.flops_per_megapixel / 1e9:.0f} GFLOP/Mpx, {field}"
        trained = f"{card.steps} steps, {card.seconds / 60:.0f} minutes on {card.hardware}"
        if card.training.start:
            trained = f"from the parameters of `{card.training.start}`, {trained}"
        blocks = any(r.psnr_b is not None for r in card.results)
        rows = [["set", "degradation", "degraded", "PSNR", "SSIM", *["PSNR-B"] * blocks]]
        rows.append(["---"] * len(rows[0]))
        for r in card.results:
            rows.append([r.dataset, f"`{r.degradation}`", f"{r.input_psnr:.2f}", f"{r.psnr:.2f}", f"{r.ssim:.4f}"])
            rows[-1] += ["" if r.psnr_b is None else f"{r.psnr_b:.2f}"] * blocks
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        speed = "; ".join(f"{mpix:.2f} on {where}" for where, mpix in card.throughput.items())
        parts.append(
            f"### `{name}`\n\n![Degraded, restored, clean]({name}/preview.png)\n\nUndoes `{card.degradation}`; {cost}. "
            f"Trained on {card.data}: {trained}. Mpx/s: {speed or 'not measured'}. {card.limits}\n\n{table}\n\n"
            f"On what it was not trained for (degraded):\n\n{_elsewhere(card)}"
        )
    return "\n\n".join(parts)


def _elsewhere(card: zoo.Card) -> str:
    """Markdown: PSNR by degradation, a column for every set or kind of picture."""
    sets = list(dict.fromkeys(r.dataset for r in card.ood_results))
    cells: dict[str, dict[str, str]] = {}
    for r in card.ood_results:
        cells.setdefault(r.degradation, {})[r.dataset] = f"{r.psnr:.2f} ({r.input_psnr:.2f})"
    lines = [[f"`{degradation}`", *(row.get(one, "") for one in sets)] for degradation, row in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in [["degradation", *sets], ["---"] * (len(sets) + 1), *lines])


def pairs() -> str:
    """Markdown: entries with the same degradation measured on the same set, side by side."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for name, card in _cards().items():
        for r in card.results:
            found.setdefault((published.undone(r.degradation), r.dataset), []).append((name, r.psnr))
    rows = []
    for (degradation, dataset), them in found.items():
        if len(them) > 1:
            best_first = " · ".join(f"`{name}` {psnr:.2f}" for name, psnr in sorted(them, key=lambda one: -one[1]))
            rows.append(f"| `{degradation}` | {dataset} | {best_first} |")
    return "\n".join(["| degradation | set | PSNR [dB], best first |", "|---|---|---|", *rows])


def beside() -> str:
    """Markdown: what papers report and what entries reach, the best last."""
    return published.tables(_cards())


def _cards() -> dict[str, zoo.Card]:
    return {name: zoo.Card.read(zoo.ZOO / name) for name in zoo.list_models()}


def _size(card: zoo.Card) -> str:
    return f"{card.parameters / 1e6:.2f} M"


def fill(path: Path, marker: str, content: str) -> None:
    """Replace what stands between ``<!-- marker -->`` and ``<!-- /marker -->`` in a file."""
    text = path.read_text()
    between = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    new, count = between.subn(lambda marks: f"{marks[1]}{content}\n{marks[2]}", text)
    if count != 1:
        raise ValueError(f"{path} must have <!-- {marker} --> and <!-- /{marker} --> once")
    with written_beside(path) as beside:
        beside.write_text(new)


def main() -> None:
    """Bring both files up to date with the cards."""
    fill(README, "zoo", choices())
    fill(PAGE, "entries", entries())
    fill(PAGE, "pairs", pairs())
    fill(PAGE, "published", beside())


if __name__ == "__main__":
    main()
