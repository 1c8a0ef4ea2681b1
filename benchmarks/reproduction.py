"""The scripts of the reproductions, which are no package, as modules: so that what is timed is what is reproduced."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parents[1] / "examples" / "reproductions"


def load(name: str) -> ModuleType:
    """Imports a script by its name without `.py`."""
    if str(_FOLDER) not in sys.path:
        sys.path.insert(0, str(_FOLDER))
    return importlib.import_module(name)
