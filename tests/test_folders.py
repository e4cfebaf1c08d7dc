"""Which files of a collection are read, and where results go."""

import threading
import time

import pytest

from restorax import hosts
from restorax.folders import Job, as_path, collect, process, without_existing


def _make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def _targets(collection, out):
    return [str(job.target.relative_to(out)) for job in collection.jobs]


def test_a_folder_keeps_its_structure(tmp_path):
    images = _make(tmp_path / "in", "b.png", "a.JPG", "deep/er/c.tif", "notes.txt", ".hidden.png", ".git/d.png")
    _make(images, ".DS_Store", "out/old.png")
    out = images / "out"
    flat, deep = collect([images], out), collect([images], out, recursive=True)
    assert _targets(flat, out) == ["a.JPG", "b.png"]
    assert _targets(deep, out) == ["a.JPG", "b.png", "deep/er/c.tif"]
    assert [job.index for job in deep.jobs] == [0, 1, 2]
    assert [path.name for path in flat.passed_over] == ["notes.txt"]
    assert [path.name for path in flat.not_entered] == ["deep"]
    assert not deep.not_entered


def test_several_inputs_and_patterns(tmp_path):
    _make(tmp_path, "a.png", "b.jpg", "c1/x.png", "c2/x.png")
    out = tmp_path / "out"
    collection = collect([tmp_path / "a.png", str(tmp_path / "c*/")], out)
    assert _targets(collection, out) == ["a.png", "c1/x.png", "c2/x.png"]
    with pytest.raises(ValueError, match="would both be written to"):
        collect([tmp_path / "c1" / "x.png", tmp_path / "c2" / "x.png"], out)
    with pytest.raises(FileNotFoundError, match=r"\*\.gif: no file matches"):
        collect([tmp_path / "*.gif"], out)


@pytest.mark.parametrize(
    ("suffix", "name"), [(".png", "a.png"), ("-new", "a-new.jpg"), ("-new.webp", "a-new.webp"), ("", "a.jpg")]
)
def test_the_suffix_is_the_end_of_a_name(suffix, name, tmp_path):
    images = _make(tmp_path / "in", "a.jpg")
    assert _targets(collect([images], tmp_path / "out", suffix=suffix), tmp_path / "out") == [name]
    with pytest.raises(ValueError, match=r"unknown suffix .\.exe"):
        collect([images], tmp_path / "out", suffix=".exe")


def test_masks_are_found_before_anything_is_done(tmp_path):
    images = _make(tmp_path / "in", "a.png", "deep/b.png", "deep/b-mask.png")
    masks = _make(tmp_path / "masks", "a-mask.png")
    with pytest.raises(FileNotFoundError, match=r"masks/deep/b-mask.png: no such file"):
        collect([images], tmp_path / "out", recursive=True, mask=masks)
    _make(masks, "deep/b-mask.png")
    jobs = collect([images], tmp_path / "out", recursive=True, mask=masks).jobs
    assert [job.mask for job in jobs] == [masks / "a-mask.png", masks / "deep" / "b-mask.png"]
    assert [job.mask for job in collect([images], tmp_path / "out", mask=masks / "a-mask.png").jobs] == [
        masks / "a-mask.png"
    ]


def test_a_file_that_fails_does_not_stop_the_others(tmp_path):
    jobs = [Job(tmp_path / name, tmp_path / "deep" / name) for name in ("a", "b", "c")]
    inside, widest = set(), []

    def work(job):
        inside.add(job)
        widest.append(len(inside))
        time.sleep(0.05)
        inside.remove(job)
        if job.source.name == "b":
            raise RuntimeError(f"RESOURCE_EXHAUSTED: {job.source}")
        job.target.write_text("done")

    caller, seen = threading.get_ident(), []
    failed = process(jobs, work, threads=2, done=lambda job, _: seen.append((job, threading.get_ident())))
    assert [(job.source.name, problem[:13]) for job, problem in failed] == [("b", "out of memory")]
    assert max(widest) == 2
    assert {job for job, _ in seen} == set(jobs)
    assert {thread for _, thread in seen} == {caller}
    assert [job.source.name for job in without_existing(jobs)] == ["b"]


def test_files_in_a_bucket_are_copied_to_and_from_it(tmp_path):
    """A file system in memory stands for the bucket."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    for protocol in ("gs", "gcs"):
        fsspec.register_implementation(protocol, MemoryFileSystem, clobber=True)
    for name in ("a.png", "deep/b.png", ".hidden/c.png", "notes.txt"):
        path = as_path(f"gs://pictures/in/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    collection = collect(["gs://pictures/in"], "gs://pictures/out", recursive=True)
    assert [str(job.target) for job in collection.jobs] == ["gs://pictures/out/a.png", "gs://pictures/out/deep/b.png"]
    assert [path.name for path in collection.passed_over] == ["notes.txt"]
    assert [path.name for path in collect(["gs://pictures/in"], "gs://pictures/out").not_entered] == ["deep"]

    def work(job):
        if job.source.name == "b.png":
            raise ValueError(f"{job.source} is damaged")
        job.target.write_bytes(job.source.read_bytes() * 2)
        job.target.with_name("a-compare.png").write_bytes(b"strip")

    failed = process(collection.jobs, work)
    assert [problem for _, problem in failed] == ["gs://pictures/in/deep/b.png is damaged"]
    assert as_path("gs://pictures/out/a.png").read_bytes() == b"a.pnga.png"
    assert as_path("gs://pictures/out/a-compare.png").read_bytes() == b"strip"
    assert [job.source.name for job in without_existing(collection.jobs)] == ["b.png"]


def test_a_process_of_a_job_takes_its_share(monkeypatch):
    for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hosts, "has_tpus", lambda: False)
    assert hosts.share_of_job() == (0, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert hosts.share_of_job() == (3, 4)
