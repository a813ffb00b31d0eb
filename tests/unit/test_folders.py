"""Folders as tables: the layouts that people have, each said in a note, and none read as another."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sopan.errors import DataError
from sopan.options.data import ReadOptions
from sopan.text.read import check_unchanged, read_corpus, read_texts

CSV = "text,label\n"


def folder_of(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root / "data"


def rows(path: Path, **options: object) -> list[tuple[str, str]]:
    corpus = read_corpus(path, ReadOptions(**options))
    return [(t, corpus.classes[i]) for t, i in zip(corpus.texts.to_pylist(), corpus.labels, strict=True)]


@pytest.mark.parametrize("names", [("pos.txt", "neg.txt"), ("rt-polarity.pos", "rt-polarity.neg")])
def test_a_file_for_each_class(tmp_path, names):
    path = folder_of(tmp_path, {names[0]: "a joy\nso good\n", names[1]: "a bore\n\nso bad\n"})
    assert sorted(rows(path)) == [("a bore", "neg"), ("a joy", "pos"), ("so bad", "neg"), ("so good", "pos")]
    assert any(note.startswith("each file is a class") for note in read_corpus(path).source.notes)
    assert read_corpus(path).rows.tolist() == [0, 1, 2, 3]


def test_class_folders_without_endings_count_the_other_files(tmp_path):
    path = folder_of(
        tmp_path, {"a/101": "x one", "a/102": "x", "b/7": "y", "b/8": "y", "b/notes.md": "no text"}
    )
    assert rows(path) == [("x one", "a"), ("x", "a"), ("y", "b"), ("y", "b")]
    assert "files that were not read: 1 with .md" in read_corpus(path).source.notes


def test_files_called_after_the_parts(tmp_path):
    two = "a,x\nb,y\n"
    path = folder_of(
        tmp_path, {"train-00000-of-00001.csv": CSV + two * 2, "dev.csv": CSV + two, "test.csv": CSV + two}
    )
    corpus = read_corpus(path)
    assert corpus.split.tolist() == ["val"] * 2 + ["test"] * 2 + ["train"] * 4
    assert any("the split comes from the files' names" in note for note in corpus.source.notes)
    assert len(set(corpus.rows.tolist())) == 8


def test_benchmark_files_called_after_the_parts(tmp_path):
    lines = "1 so good\n0 so bad\n" * 3
    path = folder_of(
        tmp_path, {"stsa.binary.train": lines, "stsa.binary.dev": lines, "stsa.binary.test": lines}
    )
    corpus = read_corpus(path)
    assert corpus.classes == ("0", "1")
    assert sorted(set(corpus.split.tolist())) == ["test", "train", "val"]


def test_shards_of_one_table(tmp_path):
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]})
    path = folder_of(tmp_path, {"README.md": "about", "LICENSE": "free"})
    for i in range(3):
        pq.write_table(table, path / f"part-{i}.parquet")
    assert rows(path) == [("a", "x"), ("b", "y")] * 3
    assert read_texts(path)[0].to_pylist() == ["a", "b"] * 3
    corpus = read_corpus(path)
    check_unchanged(corpus.source)
    pq.write_table(pa.table({"text": ["c"], "label": ["x"]}), path / "part-1.parquet")
    with pytest.raises(DataError, match="changed"):
        check_unchanged(corpus.source)


def test_shards_that_differ_are_refused_by_name(tmp_path):
    path = folder_of(tmp_path, {"a.csv": CSV + "t,x\n", "b.csv": "text,mark\nt,x\n"})
    with pytest.raises(DataError, match=r"b.csv and a.csv differ in their columns \(label, mark\)"):
        read_corpus(path)


def test_a_row_refused_in_a_shard_names_its_file_and_line(tmp_path):
    path = folder_of(tmp_path, {"a.csv": CSV + "t,x\nu,y\n", "b.csv": CSV + "t,x\nu\nv,y\n"})
    with pytest.raises(DataError, match=r"b.csv:3: 1 field where the table has 2 columns"):
        read_corpus(path)
    assert rows(path, max_rejects=1) == [("t", "x"), ("u", "y"), ("t", "x"), ("v", "y")]
