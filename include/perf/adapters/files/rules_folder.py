"""The folder of the alert rules, shared by processes, and read by Prometheus."""

from contextlib import AbstractContextManager
from pathlib import Path

from include.perf.adapters.files.locked_file import LockedFile
from include.perf.model.errors import RulesError
from include.perf.monitoring.rule_groups import RULES_FILE
from include.perf.monitoring.rule_limits import LIMITS_FILE, RuleLimits, read_limits

SETTING = "BELLWETHER_RULES"


class RulesFolder:
    """Reads and replaces the rules and the limits in a folder."""

    def __init__(self, folder: Path) -> None:
        self._rules = LockedFile(folder / RULES_FILE, error=RulesError, setting=SETTING)
        self._limits = LockedFile(folder / LIMITS_FILE, error=RulesError, setting=SETTING)

    @property
    def where(self) -> str:
        """The file that Prometheus is to read."""
        return str(self._rules.path)

    def locked(self) -> AbstractContextManager[None]:
        """Wait until nobody else changes it, and keep others from it."""
        return self._rules.locked()

    def limits(self) -> RuleLimits | None:
        """Return the limits in force; ``None`` without any.

        Raises:
            RulesError: they cannot be read.
        """
        return read_limits(self._limits.path)

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the files of the rules and of the limits as they are; ``None`` for one that is not there."""
        return self._rules.read(), self._limits.read()

    def write(self, rules: bytes | None, limits: bytes | None) -> None:
        """Put files in the place of those that are there, each whole or not at all; ``None`` removes one.

        Raises:
            RulesError: they cannot be written.
        """
        for file, content in ((self._rules, rules), (self._limits, limits)):
            if content is None:
                file.path.unlink(missing_ok=True)
            else:
                file.write(content)
