"""A sceptic's path: ask for help, choose an entry, measure it, and report without changing a tracked file."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SUITES

ROOT = Path(__file__).parent.parent.parent
NEEDED = {"models": "torch", "tpu_compile": "libtpu"}
"""Packages that a suite imports at its start."""


def _run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def _git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _tracked():
    """Names of changed and untracked files, and the changes."""
    return _git("status", "--porcelain"), _git("diff")


def test_help_lists_the_suites():
    overview = _run("--help")
    assert (overview.returncode, overview.stderr) == (0, "")
    assert "choose" in overview.stdout
    assert "--publish" in overview.stdout
    assert max(map(len, overview.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", SUITES)
def test_every_option_of_a_suite_is_described(name):
    tree = ast.parse((ROOT / "benchmarks" / f"{name}.py").read_text())
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    described = ("option(", "typer.Argument(help=", "Names", "Publish", "Quick", "Seconds")
    for parameter in main.args.args:
        annotation = ast.unparse(parameter.annotation)
        assert any(part in annotation for part in described), parameter.arg
    for call in (node for node in ast.walk(main) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) == "parser.add_argument":
            assert any(keyword.arg == "help" for keyword in call.keywords), ast.unparse(call)


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_every_suite_prints_its_help(name):
    if name in NEEDED:
        pytest.importorskip(NEEDED[name])
    printed = _run(name, "--help")
    assert printed.returncode == 0, printed.stderr
    assert "--help" in printed.stdout


def test_a_wrong_task_ends_in_a_sentence():
    wrong = _run("choose", "--task", "fog", "--psnr", "30")
    assert wrong.returncode == 2
    assert "no entry for --task fog" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.slow
def test_a_missing_package_ends_in_a_sentence(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    missing = _run("models", "--quick", PYTHONPATH=str(tmp_path))
    assert missing.returncode == 1
    assert missing.stderr == "models requires the package torch: pip install '.[bench]'\n"


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_measuring_choosing_and_reporting_change_no_tracked_file(tmp_path):
    before, local = _tracked(), {"RESTORAX_RESULTS": str(tmp_path)}
    chosen = _run("choose", "--task", "jpeg", "--psnr", "29", "--channels", "3", **local)
    assert chosen.returncode == 0, chosen.stderr
    assert max(map(len, chosen.stdout.splitlines())) <= 80
    rows = [line for line in chosen.stdout.splitlines() if line.startswith("| resunet")]
    assert "resunet_s-color-jpeg" in rows[0]
    assert rows[0].endswith("| yes |")
    assert [path.name for path in tmp_path.iterdir()] == ["throughput.csv"]

    reported = _run("report", **local)
    assert reported.returncode == 0, reported.stderr
    assert Path(reported.stdout.strip()) == ROOT / "benchmarks" / "out" / "report.md"
    assert "GFLOP/s in matrix products" in (ROOT / "benchmarks" / "out" / "report.md").read_text()
    assert _tracked() == before
