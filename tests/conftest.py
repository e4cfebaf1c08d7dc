import os
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What one test has compiled, the others and those in other processes load.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="restorax-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# The tests compile much and compute little: eight pretended devices, and code that is compiled quickly.
_FLAGS = (
    "--xla_force_host_platform_device_count=8",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ["XLA_FLAGS"] = " ".join((os.environ.get("XLA_FLAGS", ""), *_FLAGS))

import jaxtyping  # noqa: E402

# Shapes in annotations are checked while the tests run, and only then.
_hook = jaxtyping.install_import_hook("restorax", "beartype.beartype")
_hook.__enter__()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def _forget():
    """What a module has compiled is not needed by the next one, and would fill the memory."""
    yield
    jax.clear_caches()


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def unchecked():
    """Annotations are not checked, so that the library's own messages for bad input are what a test sees."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def photograph():
    """A gray photograph ``[384, 384, 1]`` of 8-bit values."""
    from restorax.data import sample_images

    return sample_images(1)["camera"]


@pytest.fixture
def run_cli(monkeypatch, capsys):
    """The command line in this process: ``run_cli(*arguments, width=200)`` gives exit code, stdout and stderr."""
    import sys

    from restorax import cli

    def run(*arguments, width=200):
        monkeypatch.setattr(sys, "argv", ["restorax", *map(str, arguments)])
        for console in (cli.console, cli.stderr):
            monkeypatch.setattr(console, "width", width)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run
