"""What `import jnn` costs, and what is said where an optional package is absent.

import-linter keeps the order of the packages, see pyproject.toml.
"""

import subprocess
import sys

import numpy as np
import pytest

import jnn
from jnn import plots
from jnn.cli import main


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_jnn_starts_no_backend():
    """A backend that has started keeps its devices, and later settings have no effect."""
    code = "import jnn, jax._src.xla_bridge as bridge; print(sorted(bridge._backends))"
    assert run_python(code).strip() == "[]"


def test_importing_jnn_imports_no_heavy_package():
    """These are imported inside the functions that need them."""
    heavy = {"sklearn", "pandas", "xarray", "matplotlib", "torch", "keras", "tyro", "scipy.stats"}
    code = (
        "import sys, jax, flax, optax; before = set(sys.modules); "
        "import jnn; print(*set(sys.modules) - before)"
    )
    assert not heavy & set(run_python(code).split())


@pytest.fixture
def absent(monkeypatch):
    """Make the import of a package fail, as if it were not installed."""

    def block(package):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return block


DATA = jnn.Dataset.from_arrays(np.arange(24.0).reshape(8, 3), np.arange(8) % 2)


@pytest.fixture(scope="module")
def result():
    about = jnn.recipes.About.from_data(DATA)
    study = jnn.recipes.make_study(about, model="mlp:", epochs=1, batch_size=4)
    return jnn.run(study, DATA, jnn.seeds(1))


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("matplotlib", "plots", lambda result: plots.learning_curves(result)),
        ("flatbuffers", "export", lambda result: result.export("program", member=0)),
        ("grain", "stream", lambda result: iter(jnn.data.Stream((DATA.x, DATA.y), 4))),
        ("tokenizers", "text", lambda result: jnn.data.BytePairTokenizer.fit(["a b"], size=300)),
    ],
    ids=["plots", "export", "stream", "text"],
)
def test_an_absent_package_is_named_with_the_extra_that_brings_it(
    absent, package, extra, call, result, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    absent(package)
    with pytest.raises(ImportError, match=rf"(?i){package}.*pip install 'jnn-jax\[{extra}\]'"):
        call(result)


def test_the_command_line_without_tyro_says_what_to_install(absent, capsys):
    absent("tyro")
    absent("jnn.cli._command")
    sys.modules.pop("jnn.cli._command", None)
    with pytest.raises(SystemExit) as stop:
        main(["models"])
    assert stop.value.code == 2
    assert "needs tyro. Install it with: pip install 'jnn-jax[cli]'" in capsys.readouterr().err


def test_a_run_without_matplotlib_has_all_but_the_curves(absent, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)
    absent("matplotlib")
    out = tmp_path / "run"
    main(["run", "iris", "--seeds", "1", "--folds", "2", "--epochs", "1", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "no curves.png" in printed and "jnn-jax[plots]" in printed
    assert (out / "result.json").exists() and not (out / "curves.png").exists()


@pytest.mark.slow
def test_importing_jnn_takes_little_more_than_what_it_stands_on():
    """At most 15 % over jax, flax and optax: the best of seven starts each, taken in turns."""
    seconds = (
        "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    )
    times = [
        [float(run_python(seconds.format(what))) for what in ("jax, flax, optax", "jnn")]
        for _ in range(7)
    ]
    base, ours = (min(column) for column in zip(*times, strict=True))
    assert ours <= 1.15 * base, f"import jnn takes {ours:.2f} s, jax, flax and optax {base:.2f} s"
