"""Keep what TensorFlow says about itself while it loads off standard error, and only that.

`TF_CPP_MIN_LOG_LEVEL` does not reach the lines that TensorFlow 2.21 logs before its logging is set up, such
as that oneDNN is on. They come from C++, so what catches them is a file in place of descriptor 2.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

NOISE = re.compile(
    rb"^(?:WARNING: All log messages before absl::InitializeLog\(\)"  # Abseil, of its own first lines
    rb"|[IW]\d{4} [\d:]+\.\d+ +\d+ \S+\.cc:\d+\]"  # I0000 00:00:1795449756.563671   20089 port.cc:153]
    rb"|\d{4}-\d\d-\d\d [\d:]+\.\d+: [IW] \S+\.cc:\d+\])"  # 2026-11-23 15:56:37.12: I tensorflow/port.cc:153]
)
"""How a line of information or warning begins that TensorFlow's C++ logs. Errors are not noise."""


@contextmanager
def quiet() -> Iterator[None]:
    """Import TensorFlow in here, by way of Keras or not, without its messages about itself.

    Everything else that is written to standard error meanwhile appears there afterwards. Where TensorFlow
    is loaded already, nothing happens; nor where the process has no standard error.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow's logging, once set up, goes by
    if "tensorflow" in sys.modules or sys.__stderr__ is None:
        yield
        return
    try:
        caught_in = tempfile.TemporaryFile()  # noqa: SIM115  # entered below
    except OSError:  # a full disk: better some noise than no import
        yield
        return
    real = os.dup(2)
    with caught_in as caught:
        _flush()
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(real, 2)
            os.close(real)
            caught.seek(0)
            kept = [line for line in caught if not NOISE.match(line)]
            if kept:
                os.write(2, b"".join(kept))
    logger = logging.getLogger("tensorflow")
    if "tensorflow" in sys.modules and logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)  # "Assets written to", "triggered tf.function retracing"


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
