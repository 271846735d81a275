"""What is the same on every page: where it is, who looks on, and what was just done."""

from dataclasses import dataclass, field

from include.perf.pages.addresses import Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around a page.

    Attributes:
        user: the name of who looks on.
        token: goes with every form.
        version: of the styles and scripts, so that browsers keep them until they change.
        notice: what was just done; empty for nothing.
    """

    addresses: Addresses
    user: str
    version: str
    token: str = field(repr=False)
    notice: str = ""
