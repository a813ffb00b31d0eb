"""Which CSV reader loses nothing? sopan's against DuckDB's, on speed and on two kinds of files that tell.

uv pip install duckdb && python bench/csv_readers.py [--megabytes 60] [--tables 400]

* unclosed: a table whose last rows follow a quote that is never closed. Right: an error.
* edges: sound tables of many buffers, with quoted line breaks. Right: every row, and no other.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from pathlib import Path

import duckdb

from sopan.errors import DataError
from sopan.options.data import TextOptions
from sopan.text.read import read_texts

WORDS = ("", "plain", "x" * 30, "two\nlines", "a, comma", 'a "quote"', "é")


def duckdb_rows(path: Path, *, parallel: bool, options: str = "") -> list[str] | None:
    """Read the texts with DuckDB's strict rules, rejects stored; None if it refuses a row."""
    connection = duckdb.connect()
    query = f"""
        SELECT * FROM read_csv('{path}', header = true, delim = ',', quote = '"', escape = '"',
            auto_detect = false, columns = {{'text': 'VARCHAR', 'label': 'VARCHAR'}}, strict_mode = true,
            null_padding = false, store_rejects = true, force_not_null = ['text', 'label'],
            parallel = {str(parallel).lower()} {options})
    """
    try:
        rows = [row[0] for row in connection.execute(query).fetchall()]
    except duckdb.Error:
        return None
    rejected = connection.execute("SELECT count(*) FROM reject_errors").fetchall()
    return rows if rejected == [(0,)] else None


def sopan_rows(path: Path) -> list[str] | None:
    try:
        return list(read_texts(path, TextOptions(text="text"))[0].to_pylist())
    except DataError:
        return None


def write(path: Path, texts: list[str], tail: str = "") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerows([("text", "label"), *((text, "x") for text in texts)])
        file.write(tail)


def main() -> None:
    """Print one line for each reader and question."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--megabytes", type=int, default=60)
    arguments.add_argument("--tables", type=int, default=400)
    asked = arguments.parse_args()
    rng = random.Random(0)
    small = ", max_line_size=3000, buffer_size=6000"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"

        write(path, ["fine"] * 10, '"never closed,x\n' + "row,x\n" * 1000)
        answers = {"sopan": sopan_rows(path)}
        for parallel in (False, True):
            answers[f"duckdb parallel={parallel}"] = duckdb_rows(path, parallel=parallel)
        for reader, found in answers.items():
            told = "refused" if found is None else f"accepted, with {len(found)} of 1,011 rows"
            print(f"unclosed  {reader:<22} {told}")

        wrong = {"sopan": 0, "duckdb parallel=False": 0, "duckdb parallel=True": 0}
        for _ in range(asked.tables):
            texts = [rng.choice(WORDS) * rng.randint(1, 3) for _ in range(rng.randint(150, 600))]
            write(path, texts)
            wrong["sopan"] += sopan_rows(path) != texts
            for parallel in (False, True):
                found = duckdb_rows(path, parallel=parallel, options=small)
                wrong[f"duckdb parallel={parallel}"] += found != texts
        for reader, count in wrong.items():
            print(f"edges     {reader:<22} {count} of {asked.tables} sound tables read wrongly or refused")

        text = " ".join(rng.choice(WORDS) for _ in range(200))
        write(path, [text] * (asked.megabytes * 1_000_000 // (len(text) + 30)))
        seconds = {}
        for reader, read in {
            "sopan": sopan_rows,
            "duckdb parallel=True": lambda p: duckdb_rows(
                p, parallel=True, options=", max_line_size=16777216"
            ),
        }.items():
            start = time.perf_counter()
            read(path)
            seconds[reader] = time.perf_counter() - start
            print(f"speed     {reader:<22} {path.stat().st_size / 1e6 / seconds[reader]:.0f} MB/s")
        print(f"speed     ratio ours / DuckDB's {seconds['duckdb parallel=True'] / seconds['sopan']:.2f}")


if __name__ == "__main__":
    main()
