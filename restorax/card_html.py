"""A model card as HTML, for notebooks."""

import base64
import html

from .card import Card, Result


def card_html(card: Card, preview: bytes | None = None) -> str:
    """Return a fragment of HTML: preview, what the entry undoes, results and limits.

    Args:
        card: the card to show.
        preview: a PNG file.

    Returns:
        Self-contained HTML.

    Example:
        >>> from restorax import zoo
        >>> card_html(zoo.load("dncnn-gray-noise25").card).startswith("<div>")
        True
    """
    picture = ""
    if preview is not None:
        data = base64.b64encode(preview).decode()
        picture = f'<img src="data:image/png;base64,{data}" alt="Degraded, restored and clean image" width="512">'
    facts = (
        ("Undoes", f"<code>{html.escape(card.degradation)}</code>"),
        ("Needs", html.escape(card.condition.description or "the image alone")),
        ("Size", f"{card.parameters:,} parameters, {card.flops_per_megapixel / 1e9:.0f} GFLOP per megapixel"),
        ("Limits", html.escape(card.limits)),
        ("Training data", html.escape(f"{card.data} ({card.data_licence})")),
        ("Licence of the weights", html.escape(card.weights_licence)),
    )
    rows = "".join(f'<tr><th style="text-align:left">{name}</th><td>{value}</td></tr>' for name, value in facts)
    head = "".join(f"<th>{name}</th>" for name in ("test set", "degradation", "degraded", "restored", "SSIM"))
    results = "".join(map(_row, (*card.results, *card.pair_results)))
    return (
        f"<div><h3>{html.escape(card.name)}</h3>{picture}<table>{rows}</table>"
        f"<table><tr>{head}</tr>{results}</table></div>"
    )


def _row(result: Result) -> str:
    names = f"<td>{html.escape(result.dataset)}</td><td><code>{html.escape(result.degradation)}</code></td>"
    before = "clean" if result.is_clean else f"{result.input_psnr:.2f} dB"
    return f"<tr>{names}<td>{before}</td><td>{result.psnr:.2f} dB</td><td>{result.ssim:.4f}</td></tr>"
