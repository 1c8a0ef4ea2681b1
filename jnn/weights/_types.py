"""The types of numbers by the names that files have for them."""

import ml_dtypes
import numpy as np

FLOAT8 = {
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float8_e8m0fnu": ml_dtypes.float8_e8m0fnu,
}

_BY_NAME = {
    **{
        name: np.dtype(name).newbyteorder("<")
        for name in (
            *("bool", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "complex64", "complex128"),
        )
    },
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    **{name: np.dtype(dtype) for name, dtype in FLOAT8.items()},
}


def dtype_of(name: object) -> np.dtype:
    """Return the type of numbers with this name, such as "float32" or "bfloat16".

    Raises:
        ValueError: If there is none.
    """
    if not isinstance(name, str) or name not in _BY_NAME:
        raise ValueError(f"{str(name)[:40]!r} is no type of numbers that jnn reads")
    return _BY_NAME[name]
