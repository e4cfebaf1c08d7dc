import os
import tempfile
import zlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What one test has compiled, the others and those in other processes load.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="restorax-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Eight simulated devices. The tests compile much and compute little: level 0 halves their time. XLA aborts on a flag it
# does not know; every JAX since the lowest one allowed knows these two.
_FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}"

import jaxtyping  # noqa: E402

# Shapes in annotations are checked while the tests run, and only then.
_hook = jaxtyping.install_import_hook("restorax", "beartype.beartype")
_hook.__enter__()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_addoption(parser):
    parser.addoption("--part", help="run one part of the tests, such as 1/3, chosen by the hashes of their names")


def pytest_collection_modifyitems(config, items):
    if config.getoption("part"):
        part, parts = map(int, config.getoption("part").split("/"))
        chosen = lambda item: zlib.crc32(item.nodeid.encode()) % parts == part - 1  # noqa: E731
        config.hook.pytest_deselected(items=[item for item in items if not chosen(item)])
        items[:] = filter(chosen, items)


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


@pytest.fixture
def refused(run_cli):
    """``refused(*arguments)`` runs a command that must fail with exit code 2, and returns its sentence."""

    def run(*arguments):
        code, _, err = run_cli(*arguments, width=1000)
        assert code == 2, (arguments, err)
        assert len(err.strip().splitlines()) == 1, err
        return err

    return run
