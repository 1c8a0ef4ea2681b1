"""Every public name of floor 0 shows an example that runs."""

import doctest
import inspect

import jax.numpy as jnp
import pytest

from jnn import initializers, layers, losses, metrics

PACKAGES = {"initializers": initializers, "layers": layers, "losses": losses, "metrics": metrics}


def public_names(package) -> list[str]:
    """Return the public names of a package, without those of JAX and of annotations."""
    names = [
        name for name in getattr(package, "__all__", vars(package)) if not name.startswith("_")
    ]
    return [name for name in names if comes_from_jnn(getattr(package, name))]


def comes_from_jnn(thing) -> bool:
    home = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "")
    return home.split(".")[0] == "jnn"


EVERY = [f"{package}.{name}" for package in PACKAGES for name in public_names(PACKAGES[package])]


@pytest.mark.parametrize("path", EVERY)
def test_a_public_name_shows_an_example(path):
    package, name = path.split(".")
    doc = inspect.getdoc(getattr(PACKAGES[package], name))
    assert doc and ">>> " in doc, f"jnn.{package}.{name} must show an example (>>>)"


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
