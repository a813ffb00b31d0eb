"""Make one map of words, with the lowest priority: `python -m sopan.serve.mapper FOLDER VIEW OUT`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sopan import usecases
from sopan.errors import SopanError

LOWEST = 19


def main() -> int:
    """Make it; an error is one line."""
    folder, view, out = sys.argv[1:]
    os.nice(LOWEST)
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        usecases.write_word_map(folder, view, out)
    except SopanError as error:
        print(f"sopan: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
