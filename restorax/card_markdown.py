"""Parts of a model card as Markdown, for the documentation and the Hugging Face hub."""

from collections.abc import Sequence

from .card import Card, Result


def facts_table(card: Card) -> str:
    """Markdown: what the entry undoes and needs, its size, its training and its licence, one row each.

    Example:
        >>> from restorax import zoo
        >>> facts_table(zoo.load("arcnn-gray-jpeg").card).splitlines()[2]
        '| Undoes | `jpeg(quality=log_uniform(5, 95))` |'
    """
    facts = {
        "Undoes": f"`{card.degradation}`",
        "Needs": card.condition.description or "the image alone",
        "Channels": f"{card.channels}",
        "Size": f"{card.parameters:,} parameters, {card.flops_per_megapixel / 1e9:.0f} GFLOP per megapixel",
        "Effective receptive field": f"{card.receptive_field} pixels" if card.receptive_field else "the whole image",
        "Training images": f"{card.data} ({card.data_licence})",
        "Licence of the weights": card.weights_licence,
        "Trained": f"{card.steps:,} steps, {card.seconds / 60:.0f} minutes on {card.hardware}",
        "Reference": card.paper,
    }
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)


def results_table(results: Sequence[Result]) -> str:
    """Markdown: one row per result of a card."""
    blocking = any(r.psnr_b is not None for r in results)
    rows = [["test set", "degradation", "input PSNR", "PSNR", "SSIM", *["PSNR-B"] * blocking]]
    rows.append(["---"] * len(rows[0]))
    for r in results:
        before = "clean" if r.is_clean else f"{r.input_psnr:.2f}"
        rows.append([r.dataset, f"`{r.degradation}`", before, f"{r.psnr:.2f}", f"{r.ssim:.4f}"])
        rows[-1] += ["" if r.psnr_b is None else f"{r.psnr_b:.2f}"] * blocking
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
