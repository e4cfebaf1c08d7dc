"""Write README's table of the zoo from the cards: ``python -m benchmarks.zoo_table``."""

import re
from pathlib import Path

from restorax import zoo

README = Path(__file__).parent.parent / "README.md"


def table() -> str:
    """Markdown, one row per entry."""
    rows = ["| entry | undoes | parameters | GFLOP/Mpx | PSNR [dB] (degraded image) |", "|---|---|---|---|---|"]
    for name in zoo.list_models():
        card = zoo.Card.read(zoo.ZOO / name)
        results = "<br>".join(
            f"{r.dataset}, `{r.degradation}`: **{r.psnr:.2f}** ({r.input_psnr:.2f})" for r in card.results
        )
        size, work = f"{card.parameters / 1e6:.2f} M", f"{card.flops_per_megapixel / 1e9:.0f}"
        rows.append(f"| `{name}` | `{card.degradation}` | {size} | {work} | {results} |")
    return "\n".join(rows)


def main() -> None:
    """Replace what stands between the markers."""
    text = README.read_text()
    README.write_text(re.sub(r"(<!-- zoo -->\n).*?(<!-- /zoo -->)", rf"\1{table()}\n\2", text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
