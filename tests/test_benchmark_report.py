"""The benchmark report, and the numbers that README and the cards take from recorded rows."""

import csv
import dataclasses

import pytest

from benchmarks import __main__ as suites
from benchmarks import cards, networks, published, record, report
from benchmarks.sections import section
from restorax import zoo
from restorax.degrade import parse


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PUBLISHED", tmp_path)
    monkeypatch.setattr(record, "LOCAL", tmp_path)
    return tmp_path


def _write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)


def test_the_report_shows_only_the_newest_rows(results):
    origin = {"date": "2030-01-02", "device": "abacus", "jax": "9", "commit": "abc"}
    speed = {"entry": "one two", "dtype": "float32", "size": "512x512", "share": "0.5", "gflop_per_image": "4"}
    speed |= {"memory_MiB": "12.5"}
    measured = [
        ("JAX", "1", "99", "0.1"),
        ("JAX", "1", "8", "2.5"),
        ("JAX", "8", "40", "4"),
        ("PyTorch", "1", "5", "3.2"),
    ]
    keys = ("form", "batch", "median_ms", "mpix_per_s")
    rows = [origin | speed | dict(zip(keys, values, strict=True)) for values in measured]
    _write(results / "throughput.csv", rows)
    where = {"dataset": "set", "degradation": "jpeg(quality=10)", "ssim": "0.9"}
    name, *_ = zoo.list_models()
    methods = ((name, "31.25"), ("non-local means", "28.5"), ("none", "20.17"))
    quality = [dict(zip(("method", "psnr"), m, strict=True)) for m in methods]
    older = origin | where | {"device": "slate", "method": name, "psnr": "11.11"}
    _write(results / "quality.csv", [older, *(origin | where | q for q in quality)])
    gain = {"entry": "one", "dataset": "set", "degradation": "blur(2)", "gain": "-1.75"}
    _write(results / "robustness.csv", [origin | gain | {"gain": "9.99"}, origin | gain])

    page = report.page(results)
    for shown in ("abacus", "2030-01-02", "1.25", "12.5", "31.25", "28.5", "20.17", "-1.75", "blur(2)"):
        assert shown in page
    assert "9.99" not in page
    assert "11.11" not in page
    assert "| 99 " not in page
    line = next(line for line in page.splitlines() if "one and 1" in line)
    assert [cell.strip() for cell in line.split("|")][1:-1] == [
        "one and 1 like it", "8", "5", "", "4", "1.25", "12.5",
    ]  # fmt: skip
    assert "psnr_multiply_adds.png" in page
    assert (results / "psnr_multiply_adds.png").exists()
    assert not (results / "psnr_milliseconds.png").exists()  # no entry of the zoo was timed
    timed = rows[1] | {"entry": f"{name} another", "dtype": "float32", "size": "512x512", "median_ms": "8"}
    times = report._times([timed, timed | {"device": "older", "date": "2029-01-01", "median_ms": "9"}])
    assert times[name] == pytest.approx(8 / 512**2 * 1e6)
    work = report._work()[name]
    assert work == zoo.load(name).card.flops_per_megapixel / 2 / 2**20


def test_published_results_are_listed_with_those_of_entries():
    card = zoo.load("resunet_s-gray-noise").card
    result = dataclasses.replace(
        card.results[0], degradation="gaussian_noise(sigma=25/255, with_level=True)", psnr=29.35
    )
    text = published.tables({"mine": dataclasses.replace(card, results=[dataclasses.replace(result, dataset="bsd68")])})
    shown = ("DnCNN-S", "mine", "DRUNet")
    lines = [line for line in text.split("\n\n")[0].splitlines() if any(name in line for name in shown)]
    assert [line.split("|")[2:-1] for line in lines][1] == ["  ", " 29.35 ", "  "]
    assert all(name in line for name, line in zip(shown, lines, strict=True))
    jpeg = published.tables({}).split("\n\n")[-1]
    assert next(line for line in jpeg.splitlines() if "DnCNN-3" in line).split("|")[2] == " 29.40 / 29.13 "
    for row in published.rows():
        assert row["source"]
        parse(row["degradation"])


def _peers(row):
    return [row | {"form": form, "median_ms": "9.5"} for form in ("PyTorch", "torch.compile")]


def test_readme_receives_the_speeds_between_its_markers():
    row = {"device": "abacus", "date": "2026-02-02", "entry": "one", "dtype": "float32", "size": "512x512"}
    row |= {"form": "JAX", "batch": "1", "median_ms": "7.25", "mpix_per_s": "1", "share": "0.5", "memory_MiB": "3"}
    rows = [row, *_peers(row)]
    rows += [one | {"size": "256x256"} for one in rows]
    rows += [one | {"device": "slide rule", "date": "2026-01-01", "median_ms": "8.75"} for one in rows]
    text = report.in_readme("a\n<!-- speed -->\nold\n<!-- /speed -->\nz\n", rows)
    assert text.startswith("a\n<!-- speed -->\nOn abacus:\n\n| entry")
    assert text.count("7.25") == 1
    assert "old" not in text
    assert "8.75" not in text  # of a device that was measured before
    assert text.endswith("<!-- /speed -->\nz\n")
    assert report.in_readme("no markers", rows) == "no markers"
    assert "old" in report.in_readme("<!-- speed -->\nold\n<!-- /speed -->\n", [row])


def test_identical_networks_share_a_line_under_their_current_names():
    first, *others = next(together for together in networks.groups() if "dncnn" in together)
    row = {"device": "abacus", "date": "", "dtype": "float32", "size": "512x512", "form": "JAX", "batch": "1"}
    row |= {"mpix_per_s": "1", "share": "0.5", "memory_MiB": "3"}
    measured = [("dncnn", "9.75"), ("another", "8.5"), (f"{others[0]} another", "7.25")]
    rows = [row | {"entry": entry, "median_ms": time} for entry, time in measured]
    rows += [peer for one in rows for peer in _peers(one)]
    text = report.in_readme("<!-- speed -->\n<!-- /speed -->\n", report.speeds(rows))
    lines = [[cell.strip() for cell in line.split("|")[1:4:2]] for line in text.splitlines()[5:-1]]
    assert lines == [[f"{first} and {len(others)} like it", "7.25"], ["another", "8.5"]]


def test_the_report_shows_every_suite():
    assert {section.suite for section in report.SECTIONS} >= set(suites.SUITES) - {"report", "choose", "cards"}


def test_the_report_is_short_and_prints_a_suite_on_request(results, capsys):
    origin = {"date": "2030-01-02", "device": "abacus"}
    row = {"network": "a", "parameters": "1", "forward_s": "2", "gradient_s": "3"}
    _write(results / "recurrence_compile.csv", [origin | row | {"network": f"n{i}"} for i in range(30)])
    assert sum(line.startswith("| n") for line in report.page(results).splitlines()) == 1 + section.LIMIT
    report.main("recurrence_compile")
    assert sum(line.startswith("| 2030") for line in capsys.readouterr().out.splitlines()) == 30
    with pytest.raises(SystemExit, match="'nothing' is not a suite"):
        report.main("nothing")


def test_cards_agree_with_the_newest_rows_of_quality():
    key = ("dataset", "degradation", "method")
    newest = {tuple(row[k] for k in key): float(row["psnr"]) for row in record.read("quality")}
    found = {
        (result.dataset, result.degradation, name): result.psnr
        for name in zoo.list_models()
        for result in zoo.Card.read(zoo.find(name)).results
    }
    both = found.keys() & newest.keys()
    assert both
    assert {k: newest[k] for k in both} == pytest.approx({k: found[k] for k in both}, abs=0.01)


def test_cards_receive_the_speed_of_their_network():
    row = {"device": "abacus", "date": "", "dtype": "float32", "size": "512x512", "form": "JAX", "batch": "1"}
    row |= {"median_ms": "7", "mpix_per_s": "1.5", "share": "0.5", "memory_MiB": "3", "entry": "unet-color-missing"}
    speeds = cards.throughputs(report.speeds([row, row | {"size": "256x256", "mpix_per_s": "9"}]))
    assert speeds["unet-color-missing"] == speeds["unet-color-missing-direct"] == {"abacus, float32": 1.5}
    assert speeds["arcnn-gray-jpeg"] == {}
