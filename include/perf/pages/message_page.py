"""A page that only says something: what is not there, what is not allowed, or why a change was not made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """A title and what there is to say.

    Attributes:
        back: the page that it was asked for from; empty for none.
    """

    title: str
    lines: tuple[str, ...]
    back: str = ""
