"""Pages of the documentation site that are generated: model cards, sliders, images of degradations, the report."""

import io
import json
import posixpath
import re
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import zoo_table
from restorax import zoo
from restorax.card import Card
from restorax.card_markdown import facts_table, results_table
from restorax.typed_json import to_json

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ELSEWHERE = {  # pages of the repository outside docs/, and where the site has them
    "zoo/README.md": "entries/index.md",
    "benchmarks/report.md": "pages/report.md",
    "CONTRIBUTING.md": "pages/contributing.md",
    "README.md": "index.md",
}
_SIDE = 160  # of the images of degradations


def write_pages() -> None:
    """Write the generated pages and images to docs/entries/, docs/pages/ and docs/assets/entries/."""
    pages: dict[str, str | bytes] = {"entries/index.md": _overview()}
    for name in zoo.list_models():
        card = Card.read(zoo.ZOO / name)
        pages[f"entries/{name}.md"] = _entry(card)
        preview = Image.open(zoo.ZOO / name / "preview.png")
        side = preview.height
        for index, part in enumerate(("degraded", "restored")):
            pages[f"assets/entries/{name}-{part}.png"] = _png(preview.crop((index * side, 0, (index + 1) * side, side)))
    for source, target in ELSEWHERE.items():
        if target.startswith("pages/"):
            pages[target] = (ROOT / source).read_text()
    for path, content in pages.items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        if not (DOCS / path).is_file() or (DOCS / path).read_bytes() != data:  # an unchanged page is not built again
            (DOCS / path).write_bytes(data)


def adapted(name: str, text: str) -> str:
    """Return the source of a page as the site needs it.

    Links to files of the repository lead to their pages of the site, or become text, and the examples of degradations
    get images.

    Args:
        name: of the page, relative to docs/, without suffix.
        text: Markdown.
    """
    copied = {page: source for source, page in ELSEWHERE.items() if page.startswith("pages/")}
    origin = posixpath.dirname(copied.get(f"{name}.md", f"docs/{name}"))

    def moved(match: re.Match) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        if "://" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(origin, target))
        where = ELSEWHERE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if path.startswith("zoo/") and (ROOT / path / "card.json").is_file():
            where = f"entries/{posixpath.basename(path)}.md"
        if where is None:
            return match[0] if match["image"] else match["text"]
        link = posixpath.relpath(where, posixpath.dirname(name) or ".")
        return f"{match['image']}[{match['text']}]({link}{anchor})"

    text = re.sub(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)", moved, text)
    return _with_images(text) if name == "degradations" else text


def _slider(name: str) -> str:
    """HTML of a before/after slider; without JavaScript, both images are shown side by side."""
    degraded, restored = (f"../_static/entries/{name}-{part}.png" for part in ("degraded", "restored"))
    return (
        f'<figure class="compare" data-label="Restored share of {name}">'
        f'<img src="{degraded}" alt="degraded"><img src="{restored}" alt="restored by {name}"></figure>'
    )


def _overview() -> str:
    rows = []
    for problem, name, degradation in zoo_table.CHOICES:
        shown = f"[`{name}`]({name}.md), shown on `{degradation}`."
        rows.append(f"## {problem[0].upper()}{problem[1:]}\n\n{shown}\n\n{_slider(name)}")
    table = re.sub(r"\]\(([\w-]+)\)", r"](\1.md)", zoo_table.choices(folder=""))
    every = "\n".join(["```{toctree}", ":maxdepth: 1", "", *zoo.list_models(), "```"])
    return (
        "# Which entry for which image\n\nDrag the divider, or move it with the arrow keys: degraded on the left, "
        "restored on the right. `restorax diagnose IN` names the damages of an image and the entries that help.\n\n"
        f"{table}\n\n{(2 * chr(10)).join(rows)}\n\n## All entries\n\n{every}\n"
    )


def _entry(card: Card) -> str:
    parts = [
        f"# {card.name}",
        _slider(card.name),
        f"```python\nimport restorax\n\nrestorer = restorax.load({card.name!r})\n```",
        facts_table(card),
        f"## Limits\n\n{card.limits}",
        "## Results",
        results_table([*card.results, *card.pair_results]),
    ]
    if card.ood_results:
        parts += ["## Out-of-distribution results", results_table(card.ood_results)]
    if card.training is not None:
        parts += ["## Recipe", f"```json\n{json.dumps(to_json(card.training), indent=2)}\n```"]
    if card.provenance:
        parts.append(card.provenance)
    return "\n\n".join(parts) + "\n"


def _with_images(markdown: str) -> str:
    """Add a column with an image to the table of ten examples."""
    import base64

    import jax
    import jax.numpy as jnp

    from restorax.data import sample_images
    from restorax.degrade import parse

    clean = jnp.asarray(sample_images(3)["astronaut"][:_SIDE, 130 : 130 + _SIDE])
    before, section = markdown.split("## Ten examples", 1)
    lines = section.split("\n")
    for i, line in enumerate(lines):
        if line == "| degradation | result |":
            lines[i], lines[i + 1] = "| degradation | result | image |", "|---|---|---|"
        elif match := re.match(r"\| `(.+?)` \|", line):
            image = np.asarray(jax.jit(parse(match[1]))(jax.random.key(0), clean).image)
            image = image[0] if image.ndim == 4 else image
            data = base64.b64encode(_png(Image.fromarray((255 * image.clip(0, 1)).round().astype(np.uint8)))).decode()
            lines[i] = f'{line} <img src="data:image/png;base64,{data}" alt="example" width="{_SIDE}"> |'
        elif line.startswith("## "):
            break
    return before + "## Ten examples" + "\n".join(lines)


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()
