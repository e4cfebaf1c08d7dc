"""Entries on the Hugging Face hub: download, and upload with a model card in its format."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from .card import Card
from .card_markdown import facts_table, results_table
from .files.atomic import AnyPath

FILES = ("card.json", "params.safetensors")
_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@(\S+))?", re.ASCII)
# SPDX identifiers among those of https://huggingface.co/docs/hub/repositories-licenses
_LICENCES = re.compile(
    r"apache-2\.0|mit|isc|zlib|ncsa|unlicense|wtfpl|postgresql|afl-3\.0|artistic-2\.0|bsl-1\.0|bsd-[23]-clause|"
    r"bsd-3-clause-clear|cc0-1\.0|cc-by-(2\.0|2\.5|3\.0|4\.0)|cc-by-sa-[34]\.0|cc-by-nc-[234]\.0|cc-by-nd-4\.0|"
    r"cc-by-nc-nd-[34]\.0|cc-by-nc-sa-[234]\.0|cdla-sharing-1\.0|cdla-permissive-[12]\.0|ecl-2\.0|epl-[12]\.0|"
    r"etalab-2\.0|eupl-1\.1|agpl-3\.0|l?gpl-3\.0|gpl-2\.0|lgpl-2\.1|lppl-1\.3c|ms-pl|mpl-2\.0|ofl-1\.1|osl-3\.0"
)


def parse_name(name: str) -> tuple[str, str | None]:
    """Split ``hf:OWNER/NAME@REVISION`` into repository and revision.

    Raises:
        ValueError: if the name has another form.

    Example:
        >>> parse_name("hf:owner/name"), parse_name("hf:owner/name@v1")
        (('owner/name', None), ('owner/name', 'v1'))
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not a repository; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    return match[1], match[2]


def download(name: str) -> Path:
    """Download the card and the parameters of an entry to the hub's cache, unless they are there.

    No other file is fetched. Without a network, and with ``HF_HUB_OFFLINE=1``, the cached files are used.

    Args:
        name: ``hf:OWNER/NAME``, or ``hf:OWNER/NAME@REVISION`` with a branch, a tag or a commit.

    Returns:
        The folder of the files, in which nothing may be changed.

    Raises:
        ConnectionError: if the hub cannot be reached and the entry is not in the cache.
        FileNotFoundError: if there is no such repository or revision, or it holds no entry.
        ImportError: if the extra ``hub`` is not installed.
        PermissionError: if the hub refuses access.
        ValueError: if the name has another form.
    """
    repository, revision = parse_name(name)
    library = _library(name)
    with _in_one_sentence(name):
        folder = Path(library.snapshot_download(repository, revision=revision, allow_patterns=list(FILES)))
    if missing := [file for file in FILES if not (folder / file).is_file()]:
        raise FileNotFoundError(f"{name} has no {' and no '.join(missing)}; `restorax push` uploads them")
    return folder


def upload(
    name: str,
    card: Card,
    folder: AnyPath,
    *,
    private: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> str:
    """Upload the files of an entry and a ``README.md`` in one commit; return its URL.

    Arguments and errors are those of :func:`restorax.push`; ``card`` and ``folder`` are the entry's.
    """
    repository, revision = parse_name(name)
    if revision is not None:
        raise ValueError(f"{name!r} names a revision; write hf:{repository}, whose main branch takes the commit")
    library = _library(name)
    preview = (folder / "preview.png").is_file()
    files = {file: (folder / file).read_bytes() for file in (*FILES, *["preview.png"] * preview)}
    files["README.md"] = model_card(repository, card, preview=preview).encode()
    additions = [library.CommitOperationAdd(path_in_repo=file, path_or_fileobj=data) for file, data in files.items()]
    api = library.HfApi(token=token, library_name="restorax")
    with _in_one_sentence(name):
        # None: public, unless the organisation's default is private.
        api.create_repo(repository, private=private or None, exist_ok=True)
        if private and not api.model_info(repository).private:
            raise ValueError(f"{name} exists and is public; make it private on the hub, or leave private out")
        try:
            commit = api.create_commit(repository, additions, commit_message=message or f"Upload {card.name}")
        except RuntimeError as error:  # of a large file, before the commit
            raise ConnectionError(f"{name}: {error} Nothing was committed; push again") from error
    return commit.commit_url


def model_card(repository: str, card: Card, *, preview: bool) -> str:
    """Return the ``README.md`` of a repository: metadata in YAML, and the card as Markdown.

    Args:
        repository: ``OWNER/NAME``.
        card: of the entry.
        preview: whether the repository has a ``preview.png``.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [*card.results, *card.pair_results]
    measured = [
        EvalResult(
            task_type="image-to-image",
            task_name="Image restoration",
            dataset_type=result.dataset,
            dataset_name=f"{result.dataset}, {result.degradation}",
            dataset_config=result.degradation,
            metric_type=metric,
            metric_name=title,
            metric_value=value,
        )
        for result in results
        for metric, title, value in (("psnr", "PSNR in dB", result.psnr), ("ssim", "SSIM", result.ssim))
    ]
    metadata = ModelCardData(
        **_licence(repository, card.weights_licence),
        library_name="restorax",
        pipeline_tag="image-to-image",
        tags=["restorax", "jax", "flax", "image-restoration", card.architecture],
        **({"model_name": card.name, "eval_results": measured} if measured else {}),
    )
    arguments = "restorer, image, condition" if card.condition.description else "restorer, image"
    parts = [
        f"---\n{metadata.to_yaml()}\n---",
        f"# {card.name}",
        "A network of restorax, a model zoo for image restoration in JAX.",
        *["![Degraded, restored and clean image](preview.png)"] * preview,
        '## Usage\n\n`pip install "restorax[hub]"`, then `restorax restore in.png out.png --model '
        f"hf:{repository}`, or:\n\n```python\nimport restorax\n\nrestorer = restorax.load({f'hf:{repository}'!r})\n"
        f"restored = restorax.restore({arguments})  # values in [0, 1]\n```",
        facts_table(card),
        *[f"## Limits\n\n{card.limits}"] * bool(card.limits),
    ]
    for title, rows in (("Results", results), ("Out-of-distribution results", card.ood_results)):
        if rows:
            parts.append(f"## {title}\n\n{results_table(rows)}")
    if card.provenance:
        parts.append(f"## Provenance\n\n{card.provenance}")
    return "\n\n".join(parts) + "\n"


def _licence(repository: str, text: str) -> dict[str, str]:
    """Return the licence in the hub's metadata: an identifier, or the link to the terms on the card."""
    identifier = text.strip().lower()
    if _LICENCES.fullmatch(identifier):
        return {"license": identifier}
    if identifier in ("", "not stated"):
        return {"license": "unknown"}
    name = re.sub(r"[^a-z0-9.]+", "-", identifier).strip("-.")
    link = f"https://huggingface.co/{repository}/blob/main/README.md"
    return {"license": "other", "license_name": name, "license_link": link}


def _library(name: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError(f"{name} is on the Hugging Face hub; pip install 'restorax[hub]'") from None
    return huggingface_hub


@contextmanager
def _in_one_sentence(name: str) -> Iterator[None]:
    """Raise errors of the client library as built-in ones that name the remedy."""
    from huggingface_hub import errors

    repository, revision = parse_name(name)
    # HTTPError of httpx, since version 2 of httpx2.
    transport_error: type[BaseException] = errors.HfHubHTTPError.__bases__[0]
    remedy = "give a valid token by HF_TOKEN or `hf auth login`"
    try:
        yield
    except errors.GatedRepoError:
        raise PermissionError(f"{name} is gated; accept its terms on its page of the hub, and {remedy}") from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"the hub shows no repository {repository}; check the name, and if it is private, {remedy}"
        ) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{repository} has no revision {revision!r}; give a branch, a tag or a commit"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise ConnectionError(
            f"{name} is not in the cache and the hub does not answer; check the network, and unset HF_HUB_OFFLINE"
        ) from None
    except errors.OfflineModeIsEnabled:
        raise ConnectionError(f"HF_HUB_OFFLINE is set, so {repository} cannot be reached; unset it") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise PermissionError(f"the hub refuses access to {repository} ({status}); {remedy}") from None
        raise OSError(f"the hub answers {status} for {repository}: {error.server_message or 'try again'}") from None
    except transport_error as error:
        raise ConnectionError(f"the hub does not answer for {repository} ({error}); check the network") from None
