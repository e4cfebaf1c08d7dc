"""Tables of results."""

from rich.table import Table


def results_table(results: list, title: str | None = None, by: str = "set") -> Table:
    """One row per result; ``by`` is the heading of their data set."""
    table = Table(title=title)
    blocks = any(r.psnr_b is not None for r in results)
    for heading in (by, "degradation", "images", "PSNR before", "PSNR after", "SSIM after", *["PSNR-B after"] * blocks):
        table.add_column(heading, overflow="fold", no_wrap=heading == by)
    for r in results:
        numbers = [f"{r.input_psnr:.2f}", f"{r.psnr:.2f}", f"{r.ssim:.4f}"]
        numbers += ["" if r.psnr_b is None else f"{r.psnr_b:.2f}"] * blocks
        table.add_row(r.dataset, r.degradation, str(r.images), *numbers)
    return table
