"""The environment of a child process: what any program needs, by exact names.

Other variables of this process may contain secrets: Airflow's connections, keys of object stores, tokens. A child gets
a secret that it needs through a pipe.
"""

import os

INHERITED = frozenset(
    {
        *("HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_DIR", "SSL_CERT_FILE"),
        *("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUTF8"),
    }
)
"""The names of the variables that a child inherits."""


def child_environment(**own: str) -> dict[str, str]:
    """Return the environment of a child process: what it inherits, and its own variables."""
    return {name: os.environ[name] for name in sorted(INHERITED) if name in os.environ} | own
