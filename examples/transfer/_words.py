"""The token vectors of wordllama (MIT license), read from its wheel, which is not imported."""

import importlib.util
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

import jnn

# The record of a reproduction, which these scripts share.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "reproductions"))

_VECTORS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


class WordVectors:
    """Means of token vectors, as a trunk of texts.

    Attributes:
        table: The vector of each token, [tokens, features].
    """

    def __init__(self, table: np.ndarray | None = None) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(_file(_TOKENIZER)))
        if table is None:
            (table,) = jnn.weights.read(_file(_VECTORS)).values()
        self.table = np.asarray(table, np.float32)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean vector of each text, [texts, features]; zeros for an empty one."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        vectors = [self.table[one.ids] for one in encoded]
        return np.stack([v.mean(axis=0) if len(v) else self.table[0] * 0 for v in vectors])

    def random(self, seed: int = 0) -> "WordVectors":
        """Return random vectors of the same tokens."""
        values = np.random.default_rng(seed).normal(size=self.table.shape)
        return WordVectors(values)


def _file(name: str) -> pathlib.Path:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("This script reads the vectors of wordllama: pip install wordllama")
    return pathlib.Path(spec.submodule_search_locations[0]) / name
