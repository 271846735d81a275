"""Rules as Prometheus reads them, and the YAML that they are written as."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series that Prometheus computes at every evaluation."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as it stands in a rules file."""
        document: dict[str, Any] = {"record": self.record, "expr": self.expr}
        return document | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What Prometheus tells once its expression has had a value for long enough.

    Attributes:
        held_for: how long, as PromQL has it: ``10m``.
    """

    name: str
    expr: str
    held_for: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return it as it stands in a rules file."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.held_for,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }


Rule = Recording | Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated one after another, every so many seconds."""

    name: str
    rules: tuple[Rule, ...]
    interval_s: int = 30

    def document(self) -> dict[str, Any]:
        """Return it as it stands in a rules file."""
        return {
            "name": self.name,
            "interval": f"{self.interval_s}s",
            "rules": [rule.document() for rule in self.rules],
        }


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, and nothing as a reference to what stands elsewhere."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: Any, *, head: str = "") -> bytes:
    """Write a document as YAML that people can read, below a comment."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    return (comment + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)).encode()
