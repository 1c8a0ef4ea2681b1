"""The table of names says what the libraries say: every name exists, every default is the one in the signature."""

import ast
import functools
import inspect

import pytest
from flax import nnx

import jnn
from examples.names import table

ROWS = [row for rows in table.SECTIONS.values() for row in rows]


def entries(column: int) -> list:
    """All (name, defaults) of a column, each once."""
    return [entry for row in ROWS for entry in table.cells(row[column])]


def defaults_of(thing) -> dict:
    """The defaults of a function or a class, or of a partial one."""
    if isinstance(thing, functools.partial):
        return defaults_of(thing.func) | thing.keywords
    function = thing.__init__ if isinstance(thing, type) else thing
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
    }


def check(name: str, stated: dict[str, str], *places) -> None:
    """`name` is found in one of the places, with the stated defaults."""
    found = next((getattr(place, name) for place in places if hasattr(place, name)), None)
    assert found is not None, name
    defaults = defaults_of(found) if stated else {}
    for key, value in stated.items():
        got = defaults[key]
        if callable(got):
            assert got.__name__ == value
        else:
            assert ast.literal_eval(value) == got, (name, key)


def test_the_page_is_what_the_table_writes():
    assert table.PAGE.read_text() == table.page(), "run python examples/names/table.py"


@pytest.mark.parametrize(
    ("column", "places"), [(2, (nnx,)), (3, (jnn.modules,)), (4, (jnn.layers,))]
)
def test_names_and_defaults_are_those_of_flax_and_jnn(column, places):
    for name, stated in entries(column):
        check(name, stated, *places)


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
            check(name, stated, torch.nn, torch.nn.functional)


@pytest.mark.peers
def test_names_and_defaults_are_those_of_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for name, stated in entries(1):
        check(name, stated, keras.layers, keras.activations, keras.ops)


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
    """Standard deviation of a 300 x 100 kernel within 3 %: 30 000 values, more than five standard errors."""
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
    for wanted, got in spreads.items():
        assert got == pytest.approx(wanted, rel=0.03)
