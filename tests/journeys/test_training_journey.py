"""Training a restorer of one's own: prepare images, train, stop, resume, read the report, fine-tune, use the result."""

import json
import os
import re
import signal

import pytest

from restorax import data
from restorax.files import image

DEGRADATIONS = ["gaussian_noise(sigma=15/255)", "gaussian_noise(sigma=25/255)"]
STAGE = {"steps": 8, "degradation": "gaussian_noise(sigma=uniform(0, 55/255))", "batch": 8, "patch": 16}
NETWORK = {"architecture": "dncnn", "config": {"channels": 1, "depth": 2, "width": 8}, "evaluation": DEGRADATIONS}


@pytest.fixture
def folder(tmp_path, monkeypatch, photograph):
    monkeypatch.chdir(tmp_path)
    for name, top in (("photos/a", 0), ("photos/b", 64), ("validation/c", 128)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.write(f"{name}.png", image.Picture(photograph[top : top + 48, :64]))
    (tmp_path / "photos" / "broken.png").write_text("not an image")
    (tmp_path / "mine.json").write_text(json.dumps({**NETWORK, "stages": [STAGE]}))
    return tmp_path


def _train(run_cli, name, *more):
    options = ("--validate", "validation", "--log-every", 2, "--validate-every", 8, "--shards", 2)
    return run_cli("train", name, "--recipe", "mine.json", *options, *more)


def _interrupt(patch, step):
    """Send what Ctrl-C sends while a step is prepared."""
    batches = data.batches

    def interrupted(source, **options):
        for number, patches in enumerate(batches(source, **options)):
            if number == step:
                os.kill(os.getpid(), signal.SIGINT)
            yield patches

    patch.setattr(data, "batches", interrupted)


def test_a_training_can_be_watched_stopped_resumed_and_fine_tuned(run_cli, folder):
    # A dataset; the damaged file is named.
    code, out, _ = run_cli("data", "prepare", "photos", "--name", "mine", "--data-dir", "datasets")
    assert (code, "2 in train, 1 skipped" in out) == (0, True)

    # Stopped: a code of its own, so that `train && eval` does not go on.
    source = ("--data", "tfds:mine", "--data-dir", "datasets")
    with pytest.MonkeyPatch.context() as patch:
        _interrupt(patch, 5)
        code, out, _ = _train(run_cli, "mine", *source)
    assert code == 75
    header = " ".join(out.partition("step 2 of 8")[0].split())
    for text in (
        "mine: dncnn, 153 parameters, float32",
        "8 of 8 cpu devices",
        "4 copies of the parameters, each sharded over 2 devices",
        "2 images of the TFDS dataset mine/1.0.0",
        "8 steps, batch 8, patch 16, loss l1, learning rate 0.002, gaussian_noise(sigma=uniform(0, 55/255))",
        "step 0 of 8, random parameters",
        "checkpoints/, log.jsonl, mine/ (the zoo entry), report.md at the end",
    ):
        assert text in header, header
    assert re.search(r"step 4 of 8  loss \d\.\d{4}  \d+ images/s  time left 0:00:\d\d\n", out)
    assert "the same command resumes from runs/mine" in out

    # Resumed.
    code, out, _ = _train(run_cli, "mine", *source)
    assert code == 0
    assert "resuming after step 5 of 8" in out
    assert "trained:" in out
    rows = re.findall(r"^ +(\d+\.\d\d) +(\d+\.\d\d)  (.+)$", out, re.MULTILINE)
    assert [degradation for *_, degradation in rows] == DEGRADATIONS
    assert float(rows[0][0]) == pytest.approx(24.6, abs=0.5)  # the PSNR of noise of 15/255
    assert float(rows[1][0]) == pytest.approx(20.2, abs=0.5)

    # Fine-tuned on a folder: beside the degraded images stands the starting entry.
    code, out, _ = _train(run_cli, "finer", "--data", "photos", "--start", "runs/mine")
    assert code == 0
    for text in ("2 images of the folder photos; 1 skipped", "skipped: photos/broken.png is not an image", "runs/mine"):
        assert text in " ".join(out.split())
    assert re.search(r"step 8 of 8  validation PSNR \[dB\]\n  degraded     start  restored\n", out)
    lines = [json.loads(line) for line in (folder / "runs/finer/log.jsonl").read_text().splitlines()]
    before = [json.loads(line) for line in (folder / "runs/mine/log.jsonl").read_text().splitlines()]
    last = [line["validation_psnr"] for line in before if "validation_psnr" in line][-1]
    assert lines[0]["start_psnr"] == pytest.approx(last, abs=0.02)  # stored in half precision

    # The report.
    report = (folder / "runs/finer/report.md").read_text()
    for text in (
        "| start | `runs/mine` |",
        "| degraded images | 2",
        "| start, `runs/mine` | ",
        "| images skipped | 1 |",
    ):
        assert text in report
    assert "| image | degraded | restored | clean |" in report
    for shown in re.findall(r"\]\((\S+)\)", report):
        assert (folder / "runs/finer" / shown).stat().st_size > 500
    commands = re.findall(r"`restorax (\w+)", report)
    assert commands == ["eval", "restore", "train", "export"]

    # The result is a restorer.
    assert run_cli("restore", "validation/c.png", "out.png", "--model", "runs/finer")[0] == 0


def test_a_figure_has_no_empty_panel(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    from restorax.train.curves import plot_curves
    from tests.small_recipe import SMALL

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    loss = {"step": 1, "loss": 0.1}
    psnr = {"step": 2, "validation_psnr": {"a": 30.0, "b": 20.0}, "input_psnr": {"a": 25.0, "b": 15.0}}
    for lines, panels in (
        ([], ["learning rate"]),
        ([loss], ["training loss", "learning rate"]),
        ([loss, psnr], ["training loss", "validation PSNR [dB]", "learning rate"]),
    ):
        plot_curves(lines, SMALL, tmp_path / "curves.png")
        assert [axis.get_title() for axis in drawn[-1].axes] == panels
        assert all(axis.lines for axis in drawn[-1].axes)
        assert all(axis.get_legend() is None for axis in drawn[-1].axes)  # legends stand outside
    assert [text.get_text() for text in drawn[-1].legends[0].get_texts()] == ["a", "b", "degraded images"]
