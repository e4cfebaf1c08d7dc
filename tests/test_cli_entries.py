"""The commands on zoo entries: tables that fit, JSON, measuring, the demonstration, exported files."""

import dataclasses
import datetime
import html.parser
import io
import json
import shutil

import numpy as np
import pytest
from rich.console import Console

from restorax import demo, zoo
from restorax.cli import tables
from restorax.files import image
from restorax.typed_json import to_json

SMALL = "arcnn-gray-jpeg"
CARDS = {name: zoo.Card.read(zoo.find(name)) for name in zoo.list_models()}
LONG = "/home/somebody/experiments/" + "a_folder_with_a_long_name/" * 5


def _printed(results, title, width=80):
    console = Console(file=io.StringIO(), width=width)
    tables.print_results(console, results, title=title)
    return console.file.getvalue().splitlines()


def test_list_has_one_line_for_every_entry_at_80_columns(run_cli):
    code, out, _ = run_cli("list", width=80)
    heading, *lines = out.splitlines()
    assert code == 0
    assert heading.split("  ")[0] == "name"
    assert [line.split()[0] for line in lines] == list(CARDS)
    assert max(map(len, lines)) <= 80
    columns = dict(zip(CARDS, map(str.split, lines), strict=True))
    assert columns["resunet_s-color-any"] == ["resunet_s-color-any", "any", "color", "blind", "+6.82", "2.35", "M"]
    assert columns["unet-color-missing"][3] == "mask"
    assert "noise level" in lines[list(CARDS).index("ffdnet-gray-noise")]
    for name, card in CARDS.items():
        gain = np.mean([r.psnr - r.input_psnr for r in card.results])
        assert abs(float(columns[name][-3]) - gain) <= 0.0051


def test_long_and_json_lists_are_complete(run_cli):
    _, out, _ = run_cli("list", "--long", width=80)
    assert max(map(len, out.splitlines())) <= 80
    joined = "".join(out.split())
    for name, card in CARDS.items():
        assert name in out
        assert "".join(card.degradation.split()) in joined
    code, out, err = run_cli("list", "--json", width=80)
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps([to_json(card) for card in CARDS.values()]))


@pytest.mark.parametrize("name", CARDS)
def test_results_have_one_line_each_at_80_columns(name):
    card = CARDS[name]
    for results in (card.results, card.ood_results):
        lines = _printed(results, name)
        assert max(map(len, lines)) <= 80
        assert sum(line.startswith("  ") for line in lines) == 1 + len(results)  # the heading, and one line for each


@pytest.mark.parametrize("width", [60, 80, 200])
def test_long_names_are_cut_and_numbers_are_not(width):
    results = [dataclasses.replace(r, dataset=LONG, psnr=123.456) for r in CARDS[SMALL].results]
    lines = _printed(results, LONG, width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 2 + 2 * len(results)
    assert sum("123.46" in line for line in lines) == len(results)
    table = tables.aligned([("name", "gain"), (LONG, "+1.00"), ("写真の復元" * 20, "+2.00")], width)
    assert all(tables.cell_len(line) <= width for line in table)
    assert [line[-5:] for line in table[1:]] == ["+1.00", "+2.00"]


def test_json_has_null_where_a_number_is_infinite(capsys):
    tables.print_json([1.5, float("inf"), {"a": float("nan")}])
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [1.5, None, {"a": None}]


def test_info_prints_the_card(run_cli):
    code, out, _ = run_cli("info", SMALL, width=80)
    assert code == 0
    assert "sha256" in out
    assert "Out-of-distribution" in out
    assert max(map(len, out.splitlines())) <= 80
    assert json.loads(run_cli("info", SMALL, "--json")[1])["sha256"] == CARDS[SMALL].sha256


def test_eval_prints_and_stores(run_cli, refused, tmp_path, photograph, monkeypatch):
    crop = photograph[64:112, 128:176]
    monkeypatch.setattr("restorax.data.other_images", lambda channels: {"texture": {"crop": crop}})
    entry = shutil.copytree(zoo.ZOO / SMALL, tmp_path / "entry")
    card = dataclasses.replace(CARDS[SMALL], evaluation=["jpeg(quality=10)", "jpeg(quality=20)"])
    dataclasses.replace(card, ood_degradations=["gaussian_blur(sigma=1)"]).write(entry)
    folder = tmp_path / "photographs"
    folder.mkdir()
    image.write(folder / "a.png", image.Picture(crop))
    code, out, _ = run_cli("eval", entry, "--data", folder, "--write", width=80)
    assert code == 0
    assert "photographs" in out
    assert max(map(len, out.splitlines())) <= 80
    card = zoo.Card.read(entry)
    assert [(r.dataset, r.degradation) for r in card.results] == [("photographs", one) for one in card.evaluation]
    assert all(r.psnr > r.input_psnr and r.images == 1 for r in card.results)
    assert [r.dataset for r in card.ood_results] == ["photographs", "texture", "texture"]
    code, out, _ = run_cli("eval", entry, "--data", folder, "--json", width=80)
    assert json.loads(out) == json.loads(json.dumps([to_json(card)]))
    dataclasses.replace(card, evaluation=[]).write(entry)
    assert "has no evaluation" in refused("eval", entry, "--data", folder, "--write")
    assert zoo.Card.read(entry).results == card.results


class _Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_demo_writes_strips_and_one_page_that_shows_them(run_cli, tmp_path, photograph, monkeypatch):
    names = [SMALL, "burst_rnn-gray-noise", "video_rnn-color-noise"]  # an image, a burst, a video
    monkeypatch.setattr("restorax.zoo.list_models", lambda: names)
    crops = {"b": photograph[:32, :48], "a": photograph[64:96, :48]}
    monkeypatch.setattr(demo, "sample_images", lambda n: {name: crop.repeat(n, -1) for name, crop in crops.items()})
    code, out, err = run_cli("demo", "--out", tmp_path / "demo", width=80)
    assert code == 0
    assert [f"[{i}/3] {name}: " in err for i, name in enumerate(names, 1)] == [True] * 3
    *lines, last = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [sum(name in line for line in lines) for name in names] == [1] * 3
    assert last.endswith(str(tmp_path / "demo" / "index.html"))

    strips = {path.name for path in (tmp_path / "demo").glob("*.png")}
    assert strips == {f"{name}-{photograph}.png" for name in names for photograph in "ab"}
    page = _Page((tmp_path / "demo" / "index.html").read_text(encoding="utf-8"))
    assert {attributes["src"] for tag, attributes in page.tags if tag == "img"} == strips
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert {attributes["href"] for tag, attributes in page.tags if tag == "a"} == strips | {f"#{n}" for n in names}
    assert not {"link", "script", "iframe"} & {tag for tag, _ in page.tags}
    for name in names:
        assert {"id": name} in [attributes for tag, attributes in page.tags if tag == "section"]
        assert demo.degradation_of(name) in page.text
    for part in demo.PARTS:
        assert page.text.count(part) >= len(strips)

    code, out, _ = run_cli("demo", "--out", tmp_path / "demo", "--json")
    for one, size in zip(json.loads(out), [(32, 144), (32, 144), (16, 96)], strict=True):
        pixels = image.read(tmp_path / "demo" / one["strips"][0]["file"]).pixels
        assert pixels.shape[:2] == (one["strips"][0]["height"], one["strips"][0]["width"]) == size
        assert np.mean([strip["psnr"] for strip in one["strips"]]) == pytest.approx(one["result"]["psnr"], abs=1e-3)
        before = np.mean([strip["input_psnr"] for strip in one["strips"]])
        assert before == pytest.approx(one["result"]["input_psnr"], abs=1e-3)
        assert f"{one['strips'][0]['psnr']:.2f} dB" in page.text


def test_names_and_degradations_are_escaped_in_the_page():
    result = zoo.Result("set", "a<b>&", 1, 30.0, 0.9, 20.0, "")
    strip = demo.Strip('"x".png', "<i>", 8, 24, 20.0, 30.0)
    page = _Page(demo._page([demo.DemoResult("<script>", result, (strip,))]))
    assert not {"script", "b", "i"} & {tag for tag, _ in page.tags}
    assert [attributes["src"] for tag, attributes in page.tags if tag == "img"] == ['"x".png']


def test_an_exported_file_restores(run_cli, refused, tmp_path, photograph):
    import jax.export

    import restorax

    today = datetime.date.today()
    code, out, _ = run_cli("export", SMALL, tmp_path / "a.jax", "--size", "40x48", "--platform", "cpu")
    assert code == 0
    assert "a.jax: 0." in out
    until = datetime.date.fromisoformat(out.split("Good until ")[1][:10])
    assert 180 <= (until - today).days <= 182
    call = jax.export.deserialize((tmp_path / "a.jax").read_bytes()).call
    picture = photograph[:40, :48]
    expected = restorax.restore(restorax.load(SMALL), picture)
    np.testing.assert_allclose(call(picture[None])[0], expected, atol=1e-5)
    for options, message in (
        (("--size", "40"), "size '40' is not understood; write e.g. 512x768"),
        (("--platform", "npu"), "`platforms` must be of cpu, cuda, rocm and tpu, got npu"),
    ):
        assert message in refused("export", SMALL, tmp_path / "b.jax", *options)
    assert not list(tmp_path.glob("*b.jax"))


def test_version_and_help_of_every_command(run_cli, monkeypatch):
    import restorax

    assert run_cli("--version")[:2] == (0, f"restorax {restorax.__version__}\n")
    monkeypatch.setenv("COLUMNS", "80")
    commands = ["restore", "degrade", "list", "info", "demo", "eval", "convert", "export", "train", "data"]
    code, out, _ = run_cli("--help")
    assert code == 0
    assert all(command in out for command in commands)
    for command in (*[[one] for one in commands], ["data", "prepare"], ["data", "check"]):
        code, out, _ = run_cli(*command, "--help")
        assert code == 0
        assert "Usage" in out
        assert " . " not in out  # where rich took brackets for markup
        assert max(map(len, out.splitlines())) <= 80
