"""Provenance of results: git commit of the code and name of the processor."""

import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def commit(*paths: str, short: bool = False) -> str:
    """Return the checked-out commit, followed by ``+`` if there are uncommitted changes.

    Args:
        paths: where to look for changes, relative to the repository root; ``restorax`` is always included.
        short: abbreviate the hash.

    Returns:
        The hash; outside a git checkout of restorax, the environment variable ``RESTORAX_COMMIT`` or ``"unknown"``.
    """
    fallback = os.environ.get("RESTORAX_COMMIT") or "unknown"
    try:
        # An installed package may lie inside the repository of another project.
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return fallback
        changes = _git("status", "--porcelain", "--", "restorax", *paths)
        return _git("rev-parse", *["--short"] * short, "HEAD") + ("+" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return fallback


def processor() -> str:
    """Return the name of the CPU model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
