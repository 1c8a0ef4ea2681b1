"""Settings of JAX for the process of a command."""

import contextlib
import os
import pathlib


def configure_jax() -> None:
    """Make a device of each CPU core, and keep compiled programs between processes."""
    import jax

    from jnn.population import use_cpu_cores

    use_cpu_cores()
    folder = cache_folder()
    with contextlib.suppress(OSError):  # a home that cannot be written costs only the cache
        folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def cache_folder() -> pathlib.Path:
    """Return the folder of compiled programs, which may not exist yet."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    caches = os.environ.get("XDG_CACHE_HOME")
    if caches:
        return pathlib.Path(caches) / "jnn" / "compiled"
    return pathlib.Path.home() / ".cache" / "jnn" / "compiled"
