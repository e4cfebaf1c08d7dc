"""Options of a training run: what is not part of the recipe."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

RESUME = ("auto", "never")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where a training run reads and writes, and how often it reports.

    Attributes:
        data: training images, as for :func:`restorax.sources.parse_location`; several for stages that mix their kinds.
        workdir: training directory, ``gs://...`` included; all hosts must see it. ``runs/NAME`` by default.
        data_name: name of the training images on the card; their number and location by default.
        data_licence: their terms, for the card.
        weights_licence: licence under which the parameters are published, for the card.
        data_dir: where TFDS datasets are stored.
        value_range: stored values of black and white, of pairs and noisy images.
        hold_out: keep every tenth pair, burst or noisy image out of the training, for validation.
        in_memory: keep all images in device memory and crop them inside the step: for small sets.
        hardware: note that the card adds to the detected hardware.
        shards: devices that share one copy of parameters and optimiser state; 1 is plain data parallelism.
        resume: ``"auto"``, or ``"never"`` to refuse a directory that holds checkpoints.
        log_every: steps between log lines.
        validate_every: steps between validations; each is followed by a checkpoint.
        save_every: steps between further checkpoints.
        keep: newest checkpoints to keep, besides the best.
        max_skipped: consecutive updates skipped because loss or gradient were not finite that end the training.
        tensorboard: write ``workdir/tensorboard`` too.
        profile: write a trace of ten steps to ``workdir/profile``.
    """

    data: str | os.PathLike | Sequence[str | os.PathLike]
    workdir: str | os.PathLike | None = None
    data_name: str | None = None
    data_licence: str = "not stated"
    weights_licence: str = "not stated"
    data_dir: str | os.PathLike | None = None
    value_range: tuple[float, float] | None = None
    hold_out: bool = False
    in_memory: bool = False
    hardware: str = ""
    shards: int = 1
    resume: str = "auto"
    log_every: int = 100
    validate_every: int = 2500
    save_every: int | None = None
    keep: int = 2
    max_skipped: int = 10
    tensorboard: bool = False
    profile: bool = False

    def __post_init__(self) -> None:
        """Refuse what no training accepts."""
        if self.resume not in RESUME:
            raise ValueError(f"`resume` must be {' or '.join(map(repr, RESUME))}, got {self.resume!r}")
        for name in ("shards", "log_every", "validate_every", "save_every", "keep", "max_skipped"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {value}")

    @property
    def sources(self) -> list[str | os.PathLike]:
        """``data`` as a list."""
        return [self.data] if isinstance(self.data, str | os.PathLike) else list(self.data)
