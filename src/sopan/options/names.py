"""What contenders are called, on the command line, in results, in folders and in addresses."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple, Self


class StepName(NamedTuple):
    """The name of a contender: `STEP[:variant][@preset]`, such as `bow`, `bert:frozen@minilm`.

    Args:
        step: of `sopan.steps.STEPS`.
        variant: settings that go together under one name.
        preset: the language model that it starts from: a name, a folder or a hub id.
    """

    step: str
    variant: str | None = None
    preset: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a name apart; whether there is such a step is not looked at."""
        rest, _, preset = text.partition("@")
        step, _, variant = rest.partition(":")
        return cls(step, variant or None, preset or None)

    def __str__(self) -> str:
        variant = "" if self.variant is None else f":{self.variant}"
        return f"{self.step}{variant}" + ("" if self.preset is None else f"@{self.preset}")


def path_name(step: str) -> str:
    """Return a contender's name as the name of a file or folder, and in an address: `bow-counts`.

    What else than letters, digits and `.@_-` it holds, as a folder's path does, is left to its checksum.
    """
    name = step.replace(":", "-")
    if re.fullmatch(r"[\w@-][\w.@-]*", name, re.ASCII):
        return name
    return f"{re.sub(r'[^A-Za-z0-9_@-]+', '-', name)[-60:]}-{zlib.crc32(step.encode()):08x}"
