"""Detection of the processes of a job: the steps of SLURM, and TPU pods."""

import glob
import importlib.util
import os


def slurm_tasks() -> int:
    """Return the number of processes of this SLURM step, 1 outside of SLURM."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))


def has_tpus() -> bool:
    """Return whether this host has TPUs, without querying JAX, which must not happen before initialisation."""
    # The device files alone may belong to other accelerators.
    return bool(importlib.util.find_spec("libtpu") and (glob.glob("/dev/accel*") or glob.glob("/dev/vfio/[0-9]*")))


def share_of_job() -> tuple[int, int]:
    """Return the index of this process, from 0, and the number of processes of its job; (0, 1) without a job.

    The processes of a SLURM step are not connected: they end independently, each with its share of independent work.
    TPU pods require the connection.

    Example:
        >>> share_of_job()  # doctest: +SKIP
        (3, 8)
    """
    if slurm_tasks() > 1:
        return int(os.environ["SLURM_PROCID"]), slurm_tasks()
    if has_tpus():
        import jax

        jax.distributed.initialize()
        return jax.process_index(), jax.process_count()
    return 0, 1
