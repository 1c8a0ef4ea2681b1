"""The table of names is true: every name exists, every default is that of the signature."""

import ast
import functools
import inspect

import pytest
from flax import nnx

import jnn
from docs._generate import names as table

ROWS = [row for rows in table.SECTIONS.values() for row in rows]


def entries(column: int) -> list:
    """List all (name, defaults) of a column."""
    return [entry for row in ROWS for entry in table.cells(row[column])]


def defaults_of(thing) -> dict:
    """Return the defaults of a function or a class, or of a partial one."""
    if isinstance(thing, functools.partial):
        return defaults_of(thing.func) | thing.keywords
    function = thing.__init__ if isinstance(thing, type) else thing
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
    }


def assert_in(name: str, stated: dict[str, str], *places) -> None:
    """Assert that one of the places has the name, with the stated defaults."""
    thing = next((getattr(place, name) for place in places if hasattr(place, name)), None)
    assert thing is not None, name
    defaults = defaults_of(thing) if stated else {}
    for key, value in stated.items():
        default = defaults[key]
        if callable(default):
            assert default.__name__ == value
        else:
            assert ast.literal_eval(value) == default, (name, key)


def test_the_page_is_what_the_table_writes():
    assert table.PAGE.read_text() == table.page(), "run python docs/_generate/names.py"


@pytest.mark.parametrize(
    ("column", "places"), [(2, (nnx,)), (3, (jnn.modules,)), (4, (jnn.layers,))]
)
def test_names_and_defaults_are_those_of_flax_and_jnn(column, places):
    for name, stated in entries(column):
        assert_in(name, stated, *places)


@pytest.mark.peers
def test_names_and_defaults_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    written_in_c = {
        "gelu": "approximate = 'none'",
        "scaled_dot_product_attention": "is_causal=False",
    }
    for name, stated in entries(0):
        if name in written_in_c:  # no signature but in the documentation
            assert written_in_c[name] in getattr(torch.nn.functional, name).__doc__
        else:
            assert_in(name, stated, torch.nn, torch.nn.functional)


@pytest.mark.peers
def test_names_and_defaults_are_those_of_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for name, stated in entries(1):
        assert_in(name, stated, keras.layers, keras.activations, keras.ops)


def test_every_layer_and_module_is_in_the_table():
    layers = {name for name, _ in entries(4)}
    assert {
        name for name in jnn.layers.__all__ if inspect.isfunction(getattr(jnn.layers, name))
    } - layers == set()
    assert set(jnn.layers.ACTIVATIONS) - layers == set()
    public = {name for name in vars(jnn.modules) if not name.startswith("_")}
    assert public - {name for name, _ in entries(3)} == set()


@pytest.mark.peers
def test_initial_kernels_have_the_stated_spread(monkeypatch):
    """Compare standard deviations of 300 x 100 kernels within 3 %, over five standard errors."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    torch, keras = pytest.importorskip("torch"), pytest.importorskip("keras")
    torch.manual_seed(0)
    keras_layer = keras.layers.Dense(
        100, kernel_initializer=keras.initializers.GlorotUniform(seed=0)
    )
    keras_layer.build((None, 300))
    spreads = {
        (1 / (3 * 300)) ** 0.5: torch.nn.Linear(300, 100).weight.std().item(),
        (2 / 400) ** 0.5: float(keras_layer.kernel.value.std()),
        (1 / 300) ** 0.5: float(jnn.modules.Dense(300, 100, rngs=nnx.Rngs(0)).kernel[...].std()),
    }
    for stated, measured in spreads.items():
        assert measured == pytest.approx(stated, rel=0.03)
