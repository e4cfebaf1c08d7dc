"""Entries on the Hugging Face hub: the real client library against a stand-in server on loopback."""

import base64
import dataclasses
import hashlib
import http.server
import json
import shutil
import socket
import sys
import threading

import huggingface_hub
import jax
import numpy as np
import pytest
from huggingface_hub import ModelCard, constants
from huggingface_hub.utils import close_session

import restorax
from restorax import hub, zoo
from restorax.train.publish import _start

SMALL, NAME, TOKEN = "arcnn-gray-jpeg", "hf:owner/name", "hf_token"
LARGE = ("params.safetensors", "preview.png")
# The client uploads large files in a way that httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
PARAMS = zoo.ZOO / SMALL / "params.safetensors"


class _Hub(http.server.ThreadingHTTPServer):
    """Repositories in memory: ``commits[repository]`` is a list of commits, each a dictionary of files."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.commits, self.private, self.large, self.requests = {}, {}, {}, []

    def add(self, repository, files):
        """Commit files; return the name of the commit."""
        before = self.commits.setdefault(repository, [{}])
        before.append(before[-1] | files)
        return f"{len(before) - 1:040x}"

    def number(self, repository, revision):
        """Return the index of a commit, or ``None``."""
        if revision == "main":
            return len(self.commits[repository]) - 1
        return int(revision, 16) if len(revision) == 40 else None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, content=b"", **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Length": str(len(content))} | {k.replace("_", "-"): v for k, v in headers.items()}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _handle(self):
        hub, path, body = self.server, self.path.partition("?")[0].strip("/").split("/"), self._body()
        authorised = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
        match self.command, path:
            case "PUT", ["large", oid]:
                assert hashlib.sha256(body).hexdigest() == oid
                hub.large[oid] = body
                return self._answer(200)
            case "GET", ["api", "models", owner, name]:
                return self._read(f"{owner}/{name}", "main", authorised)
            case "GET", ["api", "models", owner, name, "revision" | "tree" as kind, revision]:
                return self._read(f"{owner}/{name}", revision, authorised, kind)
            case "GET" | "HEAD", [owner, name, "resolve", revision, file]:
                return self._read(f"{owner}/{name}", revision, authorised, "resolve", file)
        if not authorised:
            return self._answer(401, {"error": "Invalid username or password."})
        match self.command, path:
            case "POST", ["api", "repos", "create"]:
                content = json.loads(body)
                repository = f"{content['organization']}/{content['name']}"
                status = 409 if repository in hub.commits else 200
                if status == 200:
                    hub.commits[repository] = [{}]
                    hub.private[repository] = bool(content.get("private") or content.get("visibility") == "private")
                return self._answer(status, {"url": f"{hub.url}/{repository}"})
            case "POST", ["api", "validate-yaml"]:
                return self._answer(200, {"errors": [], "warnings": []})
            case "POST", ["api", "models", _, _, "preupload", "main"]:
                files = [
                    {"path": path, "uploadMode": "lfs" if path in LARGE else "regular", "shouldIgnore": False}
                    for path in (file["path"] for file in json.loads(body)["files"])
                ]
                return self._answer(200, {"files": files})
            case "POST", [_, _, "info", "lfs", "objects", "batch"]:
                objects = [
                    one | {"actions": {"upload": {"href": f"{hub.url}/large/{one['oid']}"}}}
                    for one in json.loads(body)["objects"]
                ]
                return self._answer(200, {"transfer": "basic", "objects": objects})
            case "POST", ["api", "models", owner, name, "commit", "main"]:
                files = {}
                for line in map(json.loads, body.splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        files[value["path"]] = hub.large[value["oid"]]
                commit = hub.add(f"{owner}/{name}", files)
                url = f"{hub.url}/{owner}/{name}/commit/{commit}"
                return self._answer(200, {"commitUrl": url, "commitOid": commit})
        return self._answer(501, {"error": f"no answer to {self.command} {self.path}"})

    def _read(self, repository, revision, authorised, kind="revision", file=None):
        hub = self.server
        if hub.private.get(repository) and not authorised:
            return self._answer(401, X_Error_Code="RepoNotFound")
        if repository not in hub.commits:
            return self._answer(404, X_Error_Code="RepoNotFound")
        if (number := hub.number(repository, revision)) is None:
            return self._answer(404, X_Error_Code="RevisionNotFound")
        commit, files = f"{number:040x}", hub.commits[repository][number]
        if kind == "revision":
            return self._answer(200, {"id": repository, "sha": commit, "private": hub.private.get(repository, False)})
        tags = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        if kind == "tree":
            entries = [{"type": "file", "path": n, "size": len(c), "oid": tags[n]} for n, c in files.items()]
            return self._answer(200, entries)
        if repository.startswith("gated/"):
            return self._answer(403, X_Error_Code="GatedRepo")
        if file not in files:
            return self._answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        return self._answer(200, files[file], ETag=f'"{tags[file]}"', X_Repo_Commit=commit)

    do_GET = do_HEAD = do_POST = do_PUT = _handle


@pytest.fixture
def server(tmp_path, monkeypatch):
    with _Hub() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        _use(server.url, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        close_session()
        yield server
        close_session()
        server.shutdown()


def _use(url, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def _entry():
    return {file: (zoo.ZOO / SMALL / file).read_bytes() for file in hub.FILES}


def test_a_restorer_comes_back_as_it_was_pushed(server, monkeypatch):
    pushed = restorax.load(SMALL)
    url = restorax.push(NAME, pushed, message="First")
    assert url == f"{server.url}/owner/name/commit/{1:040x}"
    (_, files) = server.commits["owner/name"]  # one commit after the creation
    assert files.keys() == {*LARGE, "card.json", "README.md"}
    assert server.large.keys() == {hashlib.sha256(files[name]).hexdigest() for name in LARGE}
    assert {token for method, _, token in server.requests if method == "POST"} == {f"Bearer {TOKEN}"}

    server.requests.clear()
    loaded = restorax.load(NAME)
    assert loaded.card == pushed.card
    jax.tree.map(np.testing.assert_array_equal, loaded.params, pushed.params)
    fetched = {path.rsplit("/", 1)[1] for _, path, _ in server.requests if "/resolve/" in path}
    assert fetched == set(hub.FILES)

    server.requests.clear()
    restorax.load(NAME)
    restorax.load(f"{NAME}@{1:040x}")
    assert not any("/resolve/" in path for _, path, _ in server.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    server.requests.clear()
    assert restorax.load(NAME).card == pushed.card
    assert server.requests == []


def test_the_model_card_of_the_hub_is_that_of_the_entry():
    card = dataclasses.replace(zoo.Card.read(zoo.ZOO / SMALL), provenance="Converted.")
    page = ModelCard(hub.model_card("owner/name", card, preview=True))
    metadata = page.data
    assert (metadata.library_name, metadata.pipeline_tag) == ("restorax", "image-to-image")
    assert metadata.license == "other"
    assert metadata.license_name == "apache-2.0-as-far-as-the-terms-of-the-training-data-allow"
    found = {(r.dataset_type, r.dataset_config, r.metric_type): r.metric_value for r in metadata.eval_results}
    assert found == {
        (r.dataset, r.degradation, metric): value
        for r in card.results
        for metric, value in (("psnr", r.psnr), ("ssim", r.ssim))
    }
    for text in (card.limits, card.data, card.data_licence, card.provenance, "preview.png", "load('hf:owner/name')"):
        assert text in page.text
    assert all(f"`{r.degradation}`" in page.text for r in (*card.results, *card.ood_results))
    bare = dataclasses.replace(card, results=[], ood_results=[], weights_licence="CC-BY-SA-4.0", provenance="")
    page = ModelCard(hub.model_card("owner/name", bare, preview=False))
    assert page.data.license == "cc-by-sa-4.0"
    assert page.data.eval_results is None
    assert not any(text in page.text for text in ("Results", "Provenance", "preview.png"))
    assert (
        ModelCard(
            hub.model_card("owner/name", dataclasses.replace(bare, weights_licence="not stated"), preview=False)
        ).data.license
        == "unknown"
    )


def test_the_command_line_pushes_a_training_and_takes_names_of_the_hub(run_cli, refused, server, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(zoo.ZOO / SMALL, workdir / SMALL)
    (workdir / "recipe.json").write_text("{}")
    (workdir / SMALL / "preview.png").write_bytes(b"other")
    code, out, _ = run_cli("push", workdir, NAME, "--private")
    assert (code, out.strip()) == (0, f"{server.url}/owner/name/commit/{1:040x}")
    assert server.private["owner/name"]
    assert server.commits["owner/name"][-1]["preview.png"] == b"other"
    code, out, _ = run_cli("info", NAME, "--json")
    assert code == 0
    assert json.loads(out)["sha256"] == hashlib.sha256(PARAMS.read_bytes()).hexdigest()
    assert _start(NAME) == NAME
    server.private["owner/name"] = False
    for arguments, message in (
        (("eval", NAME, "--data", tmp_path, "--write"), f"not that of {NAME}; give a folder"),
        (("push", SMALL, NAME, "--private"), "exists and is public; make it private"),
        (("push", SMALL, f"{NAME}@v1"), "names a revision; write hf:owner/name"),
        (("push", SMALL, "owner/name"), "'owner/name' is not a repository; write hf:OWNER/NAME"),
        (("restore", tmp_path, tmp_path / "out", "--model", "hf:name"), "'hf:name' is not a repository"),
        (("info", "hf:owner/absent"), "no repository owner/absent; check the name"),
    ):
        assert message in refused(*arguments)
    assert len(server.commits["owner/name"]) == 2


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "hf:owner/absent",
            FileNotFoundError,
            "no repository owner/absent; check the name, and if it is private, give a valid token",
        ),
        ("hf:owner/secret", FileNotFoundError, "no repository owner/secret"),
        ("hf:gated/name", PermissionError, "is gated; accept its terms"),
        ("hf:owner/name@v9", FileNotFoundError, "owner/name has no revision 'v9'"),
        (
            "hf:owner/other",
            FileNotFoundError,
            "has no card.json and no params.safetensors; `restorax push` uploads them",
        ),
        ("hf:owner/part", FileNotFoundError, "hf:owner/part has no params.safetensors;"),
        ("hf:owner/wrong", ValueError, "does not match its card"),
        ("hf:owner--x/name", ValueError, "Cannot have -- or .."),
        ("hf:owner/name/more", ValueError, "is not a repository"),
        ("hf:owner/name@", ValueError, "is not a repository"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(name, error, message, server, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    entry = _entry()
    damaged = entry["params.safetensors"][:-1] + b"\x7f"
    for repository, files in {
        "owner/name": entry,
        "owner/secret": entry,
        "gated/name": entry,
        "owner/other": {"README.md": b"", "model.py": b"raise SystemExit"},
        "owner/part": {"card.json": entry["card.json"]},
        "owner/wrong": entry | {"params.safetensors": damaged},
    }.items():
        server.add(repository, files)
    server.private["owner/secret"] = True
    with pytest.raises(error, match=message):
        restorax.load(name)


def test_a_push_without_access_is_refused_in_one_sentence(server, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    for token in (None, "hf_wrong"):
        with pytest.raises(PermissionError, match=r"refuses access to owner/name \(401\); give a valid token"):
            restorax.push(NAME, SMALL, token=token)
    assert server.requests[-1][-1] == "Bearer hf_wrong"
    assert restorax.push(NAME, SMALL, token=TOKEN)


def test_without_a_network_the_cache_or_the_remedy_remains(server, monkeypatch):
    server.add("owner/name", _entry())
    restorax.load(NAME)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    _use(f"http://127.0.0.1:{port}", monkeypatch)
    assert restorax.load(NAME).card.name == SMALL
    with pytest.raises(ConnectionError, match="hf:owner/other is not in the cache and the hub does not answer"):
        restorax.load("hf:owner/other")
    with pytest.raises(ConnectionError, match=r"the hub does not answer for owner/name .*check the network"):
        restorax.push(NAME, SMALL)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="HF_HUB_OFFLINE is set"):
        restorax.push(NAME, SMALL)


def test_parameters_that_are_not_those_of_the_card_are_not_pushed(server):
    restorer = restorax.load(SMALL)
    changed = restorer.replace(params=jax.tree.map(lambda leaf: leaf + 1, restorer.params))
    with pytest.raises(ValueError, match="not those of the card of arcnn-gray-jpeg"):
        restorax.push(NAME, changed)
    assert server.requests == []


def test_the_extra_is_named_if_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, huggingface_hub.__name__, None)
    with pytest.raises(ImportError, match=r"hf:owner/name is on the Hugging Face hub; pip install 'restorax\[hub\]'"):
        restorax.load(NAME)
