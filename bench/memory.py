"""How much memory does `sopan predict` take for a file of a million texts, and for a tenth of it?

    python bench/memory.py [--texts 1000000] [--smoke]

Models of `bow` and of `cbow` are trained on the talk's 5,000 reviews. Then the command itself classifies
real reviews, each cut at 200 characters and repeated to so many rows, from Parquet and from CSV, and writes
what it found in the same format. The peak is of the process's resident memory, as the operating system
counted it. The bars: 1.2 GB, and as much for a million as for a tenth of it, within 10%. `bert` holds to
the same stream of batches and is left out because it would read the million for hours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from measure import report, table
from reviews import labelled

from sopan.fit.artifact import save_model
from sopan.steps import make_step

CHARACTERS = 200
LIMIT_MB = 1200
FLAT = 0.9
STEPS = ("bow", "cbow")
FORMATS = ("parquet", "csv")


def main() -> None:
    """Measure both steps on both formats; print a table and a line of JSON each."""
    asked = parse()
    most = 20_000 if asked.smoke else asked.texts
    sizes = (most // 10, most)
    rows = [("step", "file", *(f"{size:,} texts" for size in sizes), "ratio")]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        models = train(labelled(), Path(folder), 1000 if asked.smoke else 5000)
        for kind in FORMATS:
            files = [write(labelled(), Path(folder) / f"{size}.{kind}", size) for size in sizes]
            for step, model in models.items():
                found[step, kind] = peaks = [peak_mb(model, file) for file in files]
                shown = (f"{peak:,.0f} MB" for peak in peaks)
                rows.append((step, kind, *shown, f"{peaks[0] / peaks[1]:.2f}"))
            for file in files:
                file.unlink()
    table("Peak memory of sopan predict", rows)
    for (step, kind), (few, many) in found.items():
        report(
            f"memory_{step}_{kind}",
            peer_name="itself on a tenth of the texts",
            ours=many,
            peer=few,
            ratio=few / many,
            bar=FLAT,
            unit="MB",
            limit=LIMIT_MB,
            ratio_to_limit=many / LIMIT_MB,
            texts=most,
        )


def parse() -> argparse.Namespace:
    """Read the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--texts", type=int, default=1_000_000)
    arguments.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    return arguments.parse_args()


def train(data: Path, folder: Path, texts: int) -> dict[str, Path]:
    """Fit each step to the first reviews and save it."""
    reviews = pq.read_table(data, filters=[("talk", "=", "train")])
    reviews = reviews.take(pa.array(range(0, len(reviews), len(reviews) // texts)))  # they stand by class
    models = {step: folder / step for step in STEPS}
    for step, model in models.items():
        estimator = make_step(step).fit(reviews["text"], reviews["label"].to_pylist())
        save_model(estimator, model, step=step, data={}, metrics={})
    return models


def write(data: Path, path: Path, size: int) -> Path:
    """Write a table of so many short reviews, a piece at a time."""
    reviews = pq.read_table(data, columns=["text"])["text"].combine_chunks()
    short = pa.table({"text": pc.utf8_slice_codeunits(reviews, 0, CHARACTERS)})
    writer = (pq.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter)(path, short.schema)
    with writer:
        for start in range(0, size, len(short)):
            writer.write_table(short.slice(0, size - start))
    return path


ASKED = "from sopan.cli import main; from sopan.fit.costs import peak_rss_mb as peak; import sys\n"
ASKED += "try: main()\nfinally: print(peak(), file=sys.stderr)"
"""The command, which says at its end what it held: `wait4` tells no less than a parent's peak."""


def peak_mb(model: Path, file: Path) -> float:
    """Run the command in a process of its own and return the most memory that it held."""
    out = file.with_name(f"predicted{file.suffix}")
    command = [sys.executable, "-c", ASKED, "predict", str(model), "--file", str(file), "--out", str(out)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"sopan predict failed with exit code {done.returncode}: {done.stderr}")
    out.unlink()
    return float(done.stderr.split()[-1])


if __name__ == "__main__":
    main()
