"""Choice of the fastest entry, identity of the hardware, cards, and the labels of figures."""

import dataclasses
import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from benchmarks import cards, choose, figures, hardware, record, report
from restorax import zoo

CPUINFO = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nprocessor\t: 1\n"


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(record, "LOCAL", tmp_path / "local")
    monkeypatch.setattr(choose, "OUT", tmp_path)
    monkeypatch.setattr(hardware, "ceilings", lambda: dict(zip(hardware.CEILINGS, (100.0, 10.0), strict=True)))
    return tmp_path


def _time(entry, milliseconds, **columns):
    row = {"form": "JAX", "dtype": "float32", "size": "512x512", "batch": "1", "memory_MiB": "32"}
    return row | {"entry": entry, "median_ms": str(milliseconds)} | columns


def test_the_label_names_model_instruction_sets_and_cores(monkeypatch):
    assert hardware._details(CPUINFO) == "family 25, model 17, avx2, avx512f, avx512_bf16"
    assert hardware._details("") == "unknown model"
    assert hardware._details("Features\t: fp asimd\n") == "asimd"
    monkeypatch.setenv("NPROC", "7")
    assert hardware.label().endswith("), 7 cores")


def test_ceilings_are_rates_of_the_fastest_call(monkeypatch):
    monkeypatch.setattr(hardware, "_fastest", lambda function, side: 1e-9 * side**3)
    assert hardware.ceilings.__wrapped__() == pytest.approx({"matrix_gflop_per_s": 2, "copy_gb_per_s": 8 / 4096})


def test_the_fastest_call_is_found_in_about_the_time_allowed():
    slept = iter((0.02, 0.02, 0.05, *(0.01,) * 100))

    class Result:
        def block_until_ready(self):
            hardware.time.sleep(next(slept))
            return self

    assert hardware._fastest(lambda x: Result(), 1, seconds=0.15) == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("a", "100", "10"), ("a", "114", "10"), True),
        (("a", "100", "10"), ("a", "116", "10"), False),
        (("a", "100", "10"), ("a", "100", "8.6"), False),
        (("a", "100", "10"), ("b", "100", "10"), False),
        (("a", "", ""), ("a", "", ""), True),  # old rows
        (("a", "", ""), ("a", "100", "10"), False),
    ],
)
def test_rows_are_compared_on_one_device_at_equal_ceilings(first, second, expected):
    rows = [dict(zip(("device", *hardware.CEILINGS), row, strict=True)) for row in (first, second)]
    assert hardware.comparable(*rows) is expected
    assert len(hardware.machines(rows)) == 2 - expected


def test_tables_of_the_report_are_split_by_ceiling(results, monkeypatch):
    for matrix, model in ((100.0, "one"), (110.0, "two"), (200.0, "three")):
        measured = dict(zip(hardware.CEILINGS, (matrix, 10.0), strict=True))
        monkeypatch.setattr(hardware, "ceilings", lambda measured=measured: measured)
        record.record("large_image", [{"model": model, "size": "8x8", "seconds": 1.0}])
    page = report.page(results, local=True)
    tables = [part for part in page.split("\n\n") if part.startswith("| model")]
    assert [[word in part for word in ("one", "two", "three")] for part in tables] == [
        [True, True, False],
        [False, False, True],
    ]
    assert "200 GFLOP/s in matrix products; 10 GB/s in copies" in page
    assert "three" not in report.page(results, local=False)


def test_only_publish_writes_outside_the_ignored_folder(results, monkeypatch, capsys):
    written = []
    monkeypatch.setattr(report, "OUT", results)
    monkeypatch.setattr(report, "write_atomically", lambda path, text: written.append(path))
    monkeypatch.setattr(report, "draw", lambda points, title, path: written.append(path))
    speed = _time("resunet_s-gray-noise", 5, mpix_per_s="3", share="0.5")
    record.record("throughput", [speed | {"form": form} for form in ("JAX", "PyTorch", "torch.compile")], publish=True)
    record.record("quality", [{"dataset": "a", "degradation": "jpeg(quality=10)", "method": "TV", "psnr": "30"}])
    report.main()
    assert len(written) == 3
    assert all(path.is_relative_to(results) for path in written)
    written.clear()
    report.main(publish=True)
    assert {report.PAGE, report.README} <= set(written)
    assert not any(path.is_relative_to(results) for path in written)


def test_tasks_are_those_of_the_zoo_table():
    tasks = choose.tasks()
    assert {"noise", "photo", "jpeg", "blur", "missing", "impulse", "avalanche", "any"} == {name for name, _ in tasks}
    gray = tasks["noise", 1]
    levels = choose.candidates(gray)
    assert {"resunet_s-gray-noise", "ffdnet-gray-noise"} <= levels.keys()
    assert all("-gray-" in name for name in levels)
    card = zoo.Card.read(zoo.find("resunet_s-gray-noise"))
    assert levels[card.name] in [r.psnr for r in card.results if r.dataset == gray.dataset]


def test_the_fastest_that_satisfies_is_first():
    levels = {"good": 31.5, "best": 32.0, "poor": 30.0, "not timed": 33.0}
    times = {name: _time(name, ms) for name, ms in (("good", 10), ("best", 20), ("poor", 1))}
    lines = choose.ranked(levels, times, 31)
    assert [(line["entry"], line["met"]) for line in lines] == [("good", "yes"), ("best", "yes"), ("poor", "no")]
    assert lines[0]["ms/Mpx"] == f"{10e6 / 512**2:.0f}"
    assert choose.ranked(levels, times, 40)[0]["entry"] == "poor"


def test_only_missing_times_are_measured_and_only_within_the_limit(results, monkeypatch, capsys):
    measured = []

    def measure(restorer, *_, **__):
        measured.append(restorer.card.name)
        row = _time("", 5)
        del row["entry"]
        return [row]

    monkeypatch.setattr(choose.throughput, "measure", measure)
    choose.main("noise", 30.8, channels=3, limit=0)
    assert measured == []
    assert "Not measured within the limit: resunet_s-color-" in capsys.readouterr().out
    choose.main("noise", 30.8, channels=3)
    # resunet_s-color-any has the network of resunet_s-color-noise.
    assert measured == ["resunet_s-color-noise", "resunet_s-color-noise-level"]
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("figure")) <= 80
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| resunet")]
    expected = {"resunet_s-color-noise": "yes", "resunet_s-color-noise-level": "yes", "resunet_s-color-any": "no"}
    assert {row[0]: row[-1] for row in rows} == expected
    assert (results / "choose-noise-3.png").stat().st_size > 5000
    choose.main("noise", 40, channels=3)
    assert len(measured) == 2
    assert "No entry reaches 40 dB; the best is resunet_s-color-noise" in capsys.readouterr().out
    with pytest.raises(choose.typer.BadParameter, match="no entry for --task nothing"):
        choose.main("nothing", 30)


def test_cards_receive_published_measurements_and_nothing_else(results, monkeypatch, capsys):
    name, written = "scanunet_s-gray-missing", []
    monkeypatch.setattr(cards, "throughputs", lambda rows: {one: {} for one in zoo.list_models()})
    monkeypatch.setattr(zoo.Card, "write", lambda card, folder: written.append(card))
    read = zoo.Card.read
    monkeypatch.setattr(zoo.Card, "read", lambda folder: dataclasses.replace(read(folder), throughput={}))
    row = {"entry": name, "degradation": "a", "core": cards.CORE, "halo": 0, "needed": 32}
    record.record("halo", [row])
    cards.main()
    assert written == []
    record.record(
        "halo", [row, row | {"degradation": "b", "needed": 48}, row | {"core": 8, "needed": 96}], publish=True
    )
    cards.main()
    assert [(card.name, card.halo) for card in written] == [(name, 48)]
    assert capsys.readouterr().out == f"updated the card of {name}\n"
    assert cards.halos([{k: str(v) for k, v in row.items()} | {"needed": "None"}]) == {name: None}


def test_cards_agree_with_published_measurements():
    speed = cards.throughputs(report.speeds(record.read("throughput", local=False)))
    halo = cards.halos(record.read("halo", local=False))
    for name in zoo.list_models():
        card = zoo.Card.read(zoo.find(name))
        assert card.throughput == speed[name]
        assert card.halo == halo.get(name, card.halo)


def _overlaps(figure):
    """Pairs of texts, of all panels, whose boxes overlap."""
    FigureCanvasAgg(figure).draw()
    texts = [
        text
        for axis in figure.axes
        for part in (axis.texts, axis.get_xticklabels(), axis.get_yticklabels(), [axis.title, axis.xaxis.label])
        for text in (*part, axis.yaxis.label)
        if text.get_text()
    ]
    boxes = {text: text.get_window_extent() for text in texts}
    assert all(box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes.values())
    return [(a.get_text(), b.get_text()) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]


def test_labels_of_figures_overlap_neither_each_other_nor_the_ticks():
    where = {"dataset": "set12", "degradation": "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)"}
    levels = [29.01, 29.0, 29.0, 28.99, 29.02, 22.0]
    points = [
        (where | {"method": f"scanunet_s-gray-blur-direct {i}", "psnr": f"{level}"}, cost)
        for i, (level, cost) in enumerate(zip(levels, (10, 11, 10, None, None, 900), strict=True))
    ]
    others = [(row | {"dataset": dataset}, cost) for dataset in ("b", "c", "d") for row, cost in points]
    assert _overlaps(figures.panels([*points, *others], "ms per Mpix", target=29)) == []
    assert figures.panels(points[3:5], "ms") is None


@pytest.mark.slow
def test_labels_of_published_figures_do_not_overlap():
    times = report._times(report.speeds(record.read("throughput", local=False)))
    levels = report._levels(record.read("quality", local=False))
    points = [(row, times.get(row["method"])) for row in levels]
    assert _overlaps(figures.panels(points, "ms per Mpix, float32")) == []
