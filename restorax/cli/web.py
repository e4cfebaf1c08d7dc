"""Command ``restorax web``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import console
from .tables import print_line

_BUILT = Path(__file__).parents[2] / "web" / "dist"  # of a checkout


def web(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder of the built page, by default web/dist of the checkout.")
    ] = _BUILT,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Serve the page that restores images in the browser, on this computer only.

    Build it in a checkout with Node.js: 'npm ci && npm run build' in the folder web.
    """
    if not (folder / "index.html").is_file():
        raise FileNotFoundError(f"{folder} holds no built page; run 'npm ci && npm run build' in the folder web")
    from .page_server import page_server  # http.server takes a tenth of the start of every command

    with page_server(folder, port) as server:
        print_line(console, f"http://127.0.0.1:{server.server_port}/ until Ctrl+C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
