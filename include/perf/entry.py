"""What every entry of the catalogue's YAML files has in common."""

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """Base of every catalogue entry: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)
