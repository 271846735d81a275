"""The folder of the alert rules, which processes share and Prometheus reads."""

from contextlib import AbstractContextManager
from pathlib import Path

from include.perf.adapters.files.locked_file import LockedFile
from include.perf.model.errors import RulesError
from include.perf.monitoring.rule_groups import RULES_FILE
from include.perf.monitoring.rule_limits import LIMITS_FILE, RuleLimits, read_limits

SETTING = "BELLWETHER_RULES"


class RulesFolder:
    """Reads and replaces the rules file and the limits file in a folder."""

    def __init__(self, folder: Path) -> None:
        self._rules = LockedFile(folder / RULES_FILE, error=RulesError, setting=SETTING)
        self._limits = LockedFile(folder / LIMITS_FILE, error=RulesError, setting=SETTING)

    @property
    def where(self) -> str:
        """The path of the rules file, which Prometheus must read."""
        return str(self._rules.path)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock for changes. It is not reentrant."""
        return self._rules.locked()

    def limits(self) -> RuleLimits | None:
        """Return the limits in force; ``None`` if there are none.

        Raises:
            RulesError: the file cannot be read.
        """
        return read_limits(self._limits.path)

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the content of the rules file and of the limits file; ``None`` for a missing file."""
        return self._rules.read(), self._limits.read()

    def write(self, rules: bytes | None, limits: bytes | None) -> None:
        """Replace both files, each one atomically; ``None`` removes a file.

        Raises:
            RulesError: a file cannot be written.
        """
        for file, content in ((self._rules, rules), (self._limits, limits)):
            if content is None:
                file.path.unlink(missing_ok=True)
            else:
                file.write(content)
