"""The floors of the library, kept over its import statements, and what `import jnn` costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jnn"
FLOORS = {
    "0 mathematics": "augment initializers layers losses metrics stats hyper",
    "1a networks": "modules models generation",
    "1b machinery": "data preprocess model nnx_model optimizer study splits members engine epoch plan "
    "checkpoint sentence",
    "2 studies": "scoring program population streaming check scores selection summary rows resident predict result "
    "training evaluate",
    "3 faces": "progress plots inference families recipe cli __main__",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}
MODULES = sorted(p.relative_to(PACKAGE).with_suffix("") for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imported_by(path: Path) -> set[str]:
    """The modules and packages directly under jnn that a file imports, at the top or inside a function."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively: write the whole name, from jnn..."
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("jnn.")} - {"__version__"}


def may_import(upper: str, lower: str) -> bool:
    """Lower floors and the own one; 1a and 1b share a number and never meet."""
    return upper == lower or upper[0] > lower[0]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_file_imports_only_from_its_own_floor_and_lower_ones(module):
    name = module.parts[0]
    assert name in FLOOR_OF, f"jnn/{module}.py stands on no floor: name it in FLOORS and in the design's layout"
    floor = FLOOR_OF[name]
    wrong = sorted(n for n in imported_by(PACKAGE / module.with_suffix(".py")) if not may_import(floor, FLOOR_OF[n]))
    assert not wrong, f"jnn/{module}.py is on floor {floor!r} and imports {wrong} from a higher one or from next door"


def test_stats_stands_alone():
    assert not imported_by(PACKAGE / "stats.py")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_jnn_starts_no_backend():
    """A backend that runs has taken its devices for good, and settings that come later have no effect."""
    code = "import jnn, jnn.data, jnn.preprocess, jax._src.xla_bridge as bridge; print(sorted(bridge._backends))"
    assert run_python(code).strip() == "[]"


def test_importing_jnn_imports_no_heavy_package():
    """These are imported inside the functions that need them."""
    heavy = {"sklearn", "pandas", "xarray", "matplotlib", "torch", "keras", "tyro", "scipy.stats"}
    code = "import sys, jax, flax, optax; before = set(sys.modules); import jnn; print(*set(sys.modules) - before)"
    assert not heavy & set(run_python(code).split())


@pytest.mark.slow
def test_importing_jnn_takes_little_more_than_what_it_stands_on():
    """At most 15 % over jax, flax and optax: the best of seven starts each, taken in turns."""
    seconds = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    times = [[float(run_python(seconds.format(what))) for what in ("jax, flax, optax", "jnn")] for _ in range(7)]
    base, ours = (min(column) for column in zip(*times, strict=True))
    assert ours <= 1.15 * base, f"import jnn takes {ours:.2f} s, jax, flax and optax {base:.2f} s"
