"""A network that is not given shared arrays which others read."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jnn.model._model import Model, as_model
from jnn.model._switch import TrainKeyword


def without_shared(network: Any, *names: str, train_keyword: TrainKeyword = None) -> Model:
    """Return a network that does not see some arrays of `Study(shared=...)`.

    A network must declare all shared arrays that it is given. So those that only the objective of a
    study reads, such as the outputs of a teacher, are kept from it:

        jnn.Study(
            jnn.model.without_shared(network, "teacher"),
            objective=lambda forward, batch: ...,  # reads batch.shared["teacher"][batch.index]
            shared={"teacher": outputs},
        )

    Args:
        network: As in `jnn.as_model`.
        *names: The names of these arrays in the dict of shared arrays.
        train_keyword: As in `jnn.as_model`.

    Raises:
        TypeError: If the network or a name is none.
    """
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"names must be names of shared arrays, such as 'teacher', got {name!r}."
            )
    functions = _Functions(as_model(network, train_keyword=train_keyword), names)
    return Model(functions.init, functions.apply, functions.network.name, functions.choices)


@dataclasses.dataclass(frozen=True, eq=False)
class _Functions:
    """`init` and `apply` of a network that is not given the shared arrays of these names."""

    network: Model
    names: tuple[str, ...]

    def init(self, key: Any, x: Any, *, shared: Any = None) -> tuple[Any, Any]:
        return self.network.init(key, x, **self._seen(shared))

    def apply(
        self, params: Any, state: Any, x: Any, *, shared: Any = None, **keywords: Any
    ) -> tuple[Any, Any]:
        return self.network.apply(params, state, x, **keywords, **self._seen(shared))

    def choices(self) -> Mapping[str, range]:
        return self.network.choices()

    def _seen(self, shared: Any) -> dict[str, Any]:
        """Return the arrays for the network as a keyword; none if nothing is left."""
        missing = [name for name in self.names if name not in (shared or {})]
        if missing:
            raise ValueError(
                f"shared must hold {missing}, which the objective of the study is to read, got "
                f"{sorted(shared or {})}. Pass Study(shared={{{missing[0]!r}: array}})."
            )
        seen = {name: part for name, part in shared.items() if name not in self.names}
        return {"shared": seen} if seen else {}
