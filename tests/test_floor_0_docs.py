"""Every public name of floor 0 explains itself: a sentence, an equation or a source, and an example that runs."""

import doctest
import inspect

import jax
import jax.numpy as jnp
import pytest

from jnn import initializers, layers, losses, metrics, models, modules

PACKAGES = {"initializers": initializers, "layers": layers, "losses": losses, "metrics": metrics}


def public_names(package) -> list[str]:
    """What `from package import ...` is meant to give, jax's own functions and types of annotations left out."""
    names = [
        name for name in getattr(package, "__all__", vars(package)) if not name.startswith("_")
    ]
    return [name for name in names if comes_from_jnn(getattr(package, name))]


def comes_from_jnn(thing) -> bool:
    home = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "")
    return home.split(".")[0] == "jnn"


EVERY = [f"{package}.{name}" for package in PACKAGES for name in public_names(PACKAGES[package])]
FLAX = {"models": models, "modules": modules}  # whose public names are classes, or partials of one
RAISING = [
    (package, name) for package in (PACKAGES | FLAX).values() for name in public_names(package)
]


@pytest.mark.parametrize("path", EVERY)
def test_a_public_name_shows_an_example(path):
    package, name = path.split(".")
    doc = inspect.getdoc(getattr(PACKAGES[package], name))
    assert doc and ">>> " in doc, f"jnn.{package}.{name} wants a docstring with an example (>>>)"


@pytest.mark.parametrize(("package", "name"), RAISING)
def test_what_raises_says_so(package, name):
    thing = getattr(package, name)
    if inspect.isroutine(thing) or inspect.isclass(thing):
        raises = "raise ValueError" in inspect.getsource(inspect.unwrap(thing))
        assert not raises or "Raises:" in inspect.getdoc(thing), f"{name} wants a section Raises"


@pytest.mark.parametrize(
    "name", [name for name in vars(metrics) if isinstance(vars(metrics)[name], metrics.Metric)]
)
def test_the_example_of_a_metric_runs(name):
    """pytest collects the examples of functions and classes only, and a metric is neither."""
    doc = inspect.getdoc(vars(metrics)[name])
    test = doctest.DocTestParser().get_doctest(
        doc, {"jnp": jnp, name: vars(metrics)[name]}, name, None, None
    )
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("name", [name for name in layers.__all__ if getattr(jax.nn, name, None)])
def test_an_activation_named_as_in_jax_is_that_of_jax(name):
    assert getattr(layers, name) is getattr(jax.nn, name)
