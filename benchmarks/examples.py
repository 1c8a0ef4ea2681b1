"""Where the benchmarks find the examples: what the reproductions train, and what they recorded."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

_EXAMPLES = Path(__file__).parents[1] / "examples"
_SCRIPTS = _EXAMPLES / "reproductions"
REPRODUCTION_RECORDS = _SCRIPTS / "results"
FIRST_STUDY = _EXAMPLES / "first_study.txt"


def load_reproduction(name: str) -> ModuleType:
    """Import the script of a reproduction, so that what is timed is what is reproduced."""
    if str(_SCRIPTS) not in sys.path:
        sys.path.insert(0, str(_SCRIPTS))
    return importlib.import_module(name)
