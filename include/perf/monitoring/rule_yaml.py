"""Prometheus rules, and their YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording rule: a series that Prometheus computes at each evaluation."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the entry of the rules file."""
        document: dict[str, Any] = {"record": self.record, "expr": self.expr}
        return document | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alerting rule, which fires once its expression has had a value for long enough.

    Attributes:
        pending_for: that duration in PromQL, such as ``10m``; the field ``for`` of the rule.
    """

    name: str
    expr: str
    pending_for: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return the entry of the rules file."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.pending_for,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }


Rule = Recording | Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of rules that are evaluated in order, at a common interval."""

    name: str
    rules: tuple[Rule, ...]
    interval_s: int = 30

    def document(self) -> dict[str, Any]:
        """Return the entry of the rules file."""
        return {
            "name": self.name,
            "interval": f"{self.interval_s}s",
            "rules": [rule.document() for rule in self.rules],
        }


class _Dumper(yaml.SafeDumper):
    """Writes multi-line text as a block, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: Any, *, head: str = "") -> bytes:
    """Return a document as readable YAML.

    Args:
        head: comment at the top of the file.
    """
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    return (comment + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)).encode()
