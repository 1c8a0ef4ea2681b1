"""Scores as a netCDF file."""

import io
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from jnn.storage import damaged, escape, unescape

if TYPE_CHECKING:
    import xarray


def write_netcdf(scores: "xarray.Dataset", path: pathlib.Path) -> None:
    """Write scores as netCDF 4. A slash, which HDF5 keeps for groups, is %2F in its names.

    Args:
        scores: The scores.
        path: The file.

    Raises:
        OSError: If the file cannot be written, for instance on a full disk.
    """
    file = io.BytesIO()  # HDF5 itself prints tracebacks when a disk is full
    _renamed(scores, escape).to_netcdf(file, engine="h5netcdf")
    path.write_bytes(file.getbuffer())


def read_netcdf(path: pathlib.Path) -> "xarray.Dataset":
    """Read scores that this version or a former one wrote, all into memory.

    Raises:
        ValueError: If the file is damaged.
    """
    import h5py
    import xarray

    try:
        with path.open("rb") as file:
            is_netcdf_3 = file.read(3) == b"CDF"
        if not is_netcdf_3:
            with h5py.File(path, "r") as file:  # h5netcdf leaves a traceback where this fails
                dict(file.attrs)
        engine = "scipy" if is_netcdf_3 else "h5netcdf"
        with xarray.open_dataset(path, engine=engine) as opened:
            scores = opened.load()
        return _renamed(scores, _unescape_all if is_netcdf_3 else unescape)
    except Exception as error:  # a damaged file fails in many ways inside its reader
        raise damaged(path, error) from error


def _renamed(scores: "xarray.Dataset", change: Callable[[str], str]) -> "xarray.Dataset":
    names = {str(name): change(str(name)) for name in (*scores.variables, *scores.sizes)}
    return scores.rename({old: new for old, new in names.items() if old != new})


def _unescape_all(name: str) -> str:
    """Return a name of version 0.1, which percent-encoded all but ASCII letters and digits."""
    from urllib.parse import unquote

    return unquote(name)
