"""The signature of Flax modules, for `help`, editors and documentation."""

import inspect
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


class _InitSignature:
    """The attribute `__signature__` of a class: the arguments of its `__init__`.

    It is computed for the class that is asked, so that a subclass shows its own arguments.
    Instances have no such attribute, and so keep the signature of their `__call__`.
    """

    def __get__(self, instance: Any, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        signature = inspect.signature(owner.__init__)
        _, *parameters = signature.parameters.values()
        return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def with_signature(module: Class) -> Class:
    """Give a class of Flax modules, and its subclasses, the signature of `__init__`.

    Otherwise `help` shows `(*args, **kwargs)`, the arguments of Flax's metaclass.
    """
    module.__signature__ = _InitSignature()  # type: ignore[attr-defined]
    return module
