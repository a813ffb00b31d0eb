"""TensorFlow says nothing about itself on standard error, and nothing else is lost there."""

from __future__ import annotations

import os
import subprocess
import sys

NOISE = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    "I0000 00:00:1795449756.563671   20089 port.cc:153] oneDNN custom operations are on.\n",
    "W0000 00:00:1795449756.563671   20089 cpu_feature_guard.cc:227] rebuild TensorFlow\n",
    "2026-01-30 22:44:42.456316: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n",
)
REAL = (
    "2026-01-30 22:44:42.456316: E tensorflow/core/framework/op_kernel.cc:1] out of memory\n",
    "E0000 00:00:1795449756.563671   20089 cuda_dnn.cc:8579] cannot register\n",
    "UserWarning: 2026-01-30 was a Friday\n",
    "I0000 is how a line of noise begins, but not all of one\n",
    "the last line, without an end",
)


def standard_error(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["KERAS_BACKEND"] = "tensorflow"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_noise_is_dropped_and_the_rest_appears_in_order() -> None:
    lines = [line for pair in zip(NOISE, REAL, strict=False) for line in pair] + [REAL[-1]]
    code = (
        "import os, sys\nfrom sopan.training.quiet import quiet\n"
        f"with quiet():\n    for line in {lines!r}: os.write(2, line.encode())\n"
        "    assert 'tensorflow' not in sys.modules\n"
    )
    assert standard_error(code) == "".join(REAL)


def test_an_error_passes_through_with_what_was_said_before_it() -> None:
    code = (
        "import sys\nfrom sopan.training.quiet import quiet\n"
        "try:\n    with quiet():\n        print('said', file=sys.stderr)\n        raise KeyError('x')\n"
        "except KeyError: print('raised', file=sys.stderr)"
    )
    assert standard_error(code) == "said\nraised\n"


def test_no_step_makes_noise_when_it_is_made() -> None:
    code = (
        "import sys\nfrom sopan.steps import STEPS, make_step\n"
        "for step in STEPS: make_step(step)\n"
        "assert ('tensorflow' in sys.modules) == (set(STEPS) > {'bow', 'cbow'})\n"
        "if 'tensorflow' in sys.modules:\n"
        "    import keras\n    keras.ops.matmul(keras.ops.ones((2, 2)), keras.ops.ones((2, 2)))"
    )
    assert standard_error(code) == ""
