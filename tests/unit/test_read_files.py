"""FAULTS.md, "Data files": each row has its test, named after it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sopan.errors import ConfigError, DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.formats import ROW
from sopan.text.parquet import ParquetTable, write_parquet
from sopan.text.read import check_unchanged, read_corpus, read_texts, stream_texts

ROWS = [("a warm and funny film", "good"), ("two dull hours", "bad")] * 3
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read_corpus(path, ReadOptions(**options))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- compressed files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".zst", zstandard.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
    ],
    ids=["gz", "zst", "bz2", "xz"],
)
def test_truncated_archive_is_named(tmp_path, suffix, compress):
    whole = compress((CSV * 200).encode())
    path = put(tmp_path, f"reviews.csv{suffix}", whole[:-20])
    assert f"{path}: the " in refusal(path)
    assert "truncated" in refusal(path)
    assert list(tmp_path.iterdir()) == [path], "nothing else was written"


def test_damaged_gz_is_named(tmp_path):
    whole = bytearray(gzip.compress(CSV.encode()))
    whole[-6] ^= 1  # in the checksum at the end
    assert "damaged" in refusal(put(tmp_path, "reviews.csv.gz", bytes(whole)))


def test_gzip_bomb_is_stopped(tmp_path):
    path = put(tmp_path, "bomb.csv.gz", gzip.compress(b"text,label\n" + b"a" * 100_000_000))
    assert path.stat().st_size < 200_000
    assert "unfold to more than" in refusal(path)


def test_small_repetitive_gz_is_no_bomb(tmp_path):
    path = put(tmp_path, "reviews.csv.gz", gzip.compress((CSV + CSV[11:] * 10_000).encode()))
    assert len(read_corpus(path)) == 60_006


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv", "reviews.jsonl", "reviews.parquet"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".zip"])
def test_every_format_and_compression_gives_the_same_corpus(tmp_path, name, suffix):
    contents = {
        "reviews.csv": CSV,
        "reviews.tsv": CSV.replace(",", "\t"),
        "reviews.jsonl": "".join(json.dumps({"text": t, "label": c}) + "\n" for t, c in ROWS),
    }
    plain = tmp_path / name
    if name in contents:
        put(tmp_path, name, contents[name])
    else:
        write_parquet(pa.table({"text": [t for t, _ in ROWS], "label": [c for _, c in ROWS]}), plain)
    path = tmp_path / f"{name}{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, name)
    elif suffix:
        path.write_bytes({".gz": gzip.compress, ".zst": zstandard.compress}[suffix](plain.read_bytes()))
    corpus = read_corpus(path)
    assert corpus.texts.to_pylist() == [text for text, _ in ROWS]
    assert [corpus.classes[i] for i in corpus.labels] == [label for _, label in ROWS]
    assert corpus.rows.tolist() == list(range(6))


def test_name_that_promises_gz(tmp_path):
    assert "the name says gzip" in refusal(put(tmp_path, "reviews.csv.gz", CSV))


def test_compression_without_the_suffix_is_seen(tmp_path):
    assert len(read_corpus(put(tmp_path, "reviews.csv", gzip.compress(CSV.encode())))) == 6


@pytest.mark.parametrize(
    "member", ["../reviews.csv", "/reviews.csv", "a/../../reviews.csv", "C:\\reviews.csv"]
)
def test_zip_with_dots_or_absolute_paths(tmp_path, member):
    path = tmp_path / "reviews.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, CSV)
    assert "unsafe entry" in refusal(path)
    assert not (tmp_path.parent / "reviews.csv").exists()


def test_zip_with_links(tmp_path):
    path = tmp_path / "reviews.zip"
    link = zipfile.ZipInfo("reviews.csv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/hosts")
    assert "unsafe entry" in refusal(path)


def test_zip_of_several_files(tmp_path):
    path = tmp_path / "reviews.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    assert "2 files where one table is expected" in refusal(path)


def test_zip_that_is_not_one(tmp_path):
    assert "zip file cannot be read" in refusal(put(tmp_path, "reviews.zip", b"PK\x03\x04" + b"no" * 50))


# ---- Parquet ---------------------------------------------------------------------------------


def parquet_with(tmp_path: Path) -> tuple[Path, int]:
    """Write a table whose pages carry checksums; return it and a place inside the first page's data."""
    path = tmp_path / "reviews.parquet"
    texts = [f"{text} number {i}" for i, (text, _) in enumerate(ROWS * 200)]
    write_parquet(pa.table({"text": texts, "label": [label for _, label in ROWS * 200]}), path)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    return path, column.dictionary_page_offset + column.total_compressed_size // 3


def test_parquet_one_bit_flipped(tmp_path):
    path, place = parquet_with(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    message = refusal(path)
    assert "damaged" in message
    assert str(path) in message


def test_parquet_that_sopan_writes_carries_checksums(tmp_path):
    path, place = parquet_with(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    flipped = put(tmp_path, "flipped.parquet", bytes(content))
    with pytest.raises(OSError, match=r"CRC checksum verification failed"):
        pq.ParquetFile(flipped, page_checksum_verification=True).read()


def test_write_parquet_keeps_the_old_file_when_it_fails(tmp_path):
    path, _ = parquet_with(tmp_path)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        write_parquet("not a table", path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_that_is_none(tmp_path):
    assert "not a readable Parquet file" in refusal(
        put(tmp_path, "reviews.parquet", b"PAR1 and nothing more")
    )


@pytest.mark.parametrize("height", [1, 7, 100])
def test_parquet_in_row_groups_of_any_height(tmp_path, height):
    path, table = tmp_path / "groups.parquet", pa.table({"text": [f"text {i}" for i in range(100)]})
    pq.write_table(table, path, row_group_size=height)
    batches = list(ParquetTable(path, "groups").read(["text"], 10))
    assert pa.Table.from_batches(batches)["text"].to_pylist() == table["text"].to_pylist()
    assert pa.Table.from_batches(batches)[ROW].to_pylist() == list(range(100))


def test_parquet_takes_no_more_memory_where_there_are_more_row_groups(tmp_path):
    def most_held(groups):
        path = tmp_path / f"{groups}.parquet"
        with pq.ParquetWriter(path, pa.schema({"text": pa.string()})) as writer:
            for group in range(groups):
                writer.write_table(pa.table({"text": [f"{group} {i} " * 20 for i in range(2000)]}))
        before = pa.total_allocated_bytes()
        reading = ParquetTable(path, str(groups)).read(["text"], 500)
        return max(pa.total_allocated_bytes() - before for _ in reading)

    assert most_held(40) < 1.5 * most_held(4)


def test_parquet_with_a_column_twice(tmp_path):
    path = tmp_path / "twice.parquet"
    columns = [pa.array(["a b", "c d"]), pa.array(["x", "y"]), pa.array(["x", "y"])]
    pq.write_table(pa.Table.from_arrays(columns, ["text", "label", "label"]), path)
    assert "several columns are called 'label'" in refusal(path)


def test_parquet_without_rows(tmp_path):
    write_parquet(
        pa.table({"text": pa.array([], "string"), "label": pa.array([], "string")}), tmp_path / "e.parquet"
    )
    assert "no rows" in refusal(tmp_path / "e.parquet")


# ---- CSV -------------------------------------------------------------------------------------


def test_text_stays_text(tmp_path):
    texts = ["NA", "null", "001", "1.0", "None", "nan", "true", "1e5", " padded ", ""]
    path = put(
        tmp_path, "a.csv", "text,label\n" + "".join(f"{t},{'ab'[i % 2]}\n" for i, t in enumerate(texts))
    )
    assert read_corpus(path).texts.to_pylist() == texts
    path = put(tmp_path, "labels.csv", "text,label\na,001\nb,NA\nc,001\nd,NA\n")
    assert read_corpus(path).classes == ("001", "NA")
    lines = [
        f'{{"text": {json.dumps(t)}, "label": {label}}}\n'
        for t, label in zip(texts, ["1.0", "2"] * 5, strict=True)
    ]
    corpus = read_corpus(put(tmp_path, "a.jsonl", "".join(lines)))
    assert corpus.texts.to_pylist() == texts
    assert corpus.classes == ("1.0", "2")


def test_unclosed_quote_is_refused_with_its_line(tmp_path):
    rows = "".join(f"row {i},x\n" for i in range(1000))
    path = put(tmp_path, "a.csv", f'text,label\n"two\nlines",y\n"never closed,x\n{rows}')
    assert f"{path}:4: " in refusal(path)
    assert "a quote opened here is not closed; the rows from here to line 1004" in refusal(path)


def test_unclosed_quote_swallows_rows_so_no_allowance_helps(tmp_path):
    path = put(tmp_path, "a.csv", 'text,label\n"open,x\nfine,y\n"closed",y\nfine,x\nfine,x\n')
    assert f"{path}:2: " in refusal(path, max_rejects=100)


def test_row_too_long_is_listed_with_its_line(tmp_path):
    path = put(
        tmp_path,
        "a.csv",
        CSV.replace("two dull hours", '"two\ndull hours"', 1) + "one, too many,bad\nshort\n",
    )
    message = refusal(path)
    assert (
        f"{path}:9: 2 rows cannot be used: line 9: 3 fields where the table has 2 columns (one, too many,bad)"
        in message
    )
    assert "line 10: 1 field where" in message
    assert message.endswith("--max-rejects 2")
    assert "3 fields" in refusal(path, max_rejects=1)


def test_rejects_that_are_allowed_are_kept_on_record(tmp_path):
    content = 'text,label\n"a\nb",x\n\nc,y\ntoo,many,fields\n\n\nd,x\nshort\n"e ""e""",y\n'
    corpus = read_corpus(put(tmp_path, "a.csv", content), ReadOptions(max_rejects=2))
    assert corpus.texts.to_pylist() == ["a\nb", "c", "d", 'e "e"']
    assert corpus.rows.tolist() == [0, 1, 3, 5], (
        "data rows as they stand in the file, blank lines not counted"
    )
    assert [(r.line, r.excerpt) for r in corpus.rejects] == [(6, "too,many,fields"), (10, "short")]
    assert "2 rows refused and left out" in corpus.source.notes


def test_text_after_a_closing_quote_is_one_bad_row(tmp_path):
    path = put(tmp_path, "a.csv", CSV + '"great" film,good\n5" disks,good\n')
    assert f"{path}:8: 1 row cannot be used" in refusal(path)
    assert read_corpus(path, ReadOptions(max_rejects=1)).texts[-1].as_py() == '5" disks'


def test_bom_is_eaten(tmp_path):
    for name, content in {
        "a.csv": CSV,
        "a.jsonl": '{"text": "b", "label": "y"}\n{"text": "c", "label": "z"}\n' * 2,
    }.items():
        corpus = read_corpus(
            put(tmp_path, name, b"\xef\xbb\xbf" + content.encode()), ReadOptions(text="text")
        )
        assert not corpus.texts[0].as_py().startswith("\ufeff")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_needs_the_flag(tmp_path, encoding):
    path = put(tmp_path, "a.csv", CSV.encode(encoding))
    assert f"use --encoding {encoding}" in refusal(path)
    assert read_corpus(path, ReadOptions(encoding=encoding)).texts.to_pylist() == [text for text, _ in ROWS]


def test_latin_1_needs_the_flag(tmp_path):
    path = put(tmp_path, "a.csv", (CSV + "un café très agréable,good\n").encode("latin-1"))
    assert f"{path}:8: 1 row cannot be used: line 8: not valid UTF-8" in refusal(path)
    assert "--encoding" in refusal(path)
    assert read_corpus(path, ReadOptions(encoding="latin-1")).texts[-1].as_py() == "un café très agréable"
    header = put(tmp_path, "h.csv", CSV.replace("label", "qualité").encode("latin-1"))
    assert "the header is not valid UTF-8; use --encoding" in refusal(header)


def test_a_given_encoding_is_strict_too(tmp_path):
    path = put(tmp_path, "a.csv", (CSV + "caf\xe9,good\n").encode("latin-1"))
    assert f"{path}:8: this is not valid ascii" in refusal(path, encoding="ascii")
    with pytest.raises(ConfigError, match="no encoding is called 'utf-61'"):
        read_corpus(path, ReadOptions(encoding="utf-61"))


def test_duplicate_headers(tmp_path):
    path = put(tmp_path, "a.csv", "text,label,label\na,b,c\n")
    assert f"{path}:1: several columns are called 'label'" in refusal(path)


def test_duplicate_json_keys(tmp_path):
    path = put(tmp_path, "a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y", "text": "c"}\n')
    assert f"{path}:2: 1 row cannot be used: line 2: the key 'text' is given twice" in refusal(path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_empty_file(tmp_path, name):
    assert "empty" in refusal(put(tmp_path, name, b""))


def test_nothing_inside_gz(tmp_path):
    assert "nothing inside" in refusal(put(tmp_path, "a.csv.gz", gzip.compress(b"")))


@pytest.mark.parametrize("content", ["text,label\n", "text,label", "a,b,c\n\n\n", "\n\n"])
def test_header_only_file(tmp_path, content):
    assert "no rows" in refusal(put(tmp_path, "a.csv", content))


def test_reading_imports_no_tensorflow(tmp_path):
    path = put(tmp_path, "a.csv", "text,label\n")
    code = (
        "import sys\nfrom sopan.text.read import read_corpus\n"
        f"try: read_corpus({str(path)!r})\nexcept Exception as error: print(type(error).__name__)\n"
        "print(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:2] == ["DataError", "[]"]


# ---- files that move -------------------------------------------------------------------------


def test_input_edited_during_a_run(tmp_path):
    path = put(tmp_path, "a.csv", CSV)
    source = read_corpus(path).source
    check_unchanged(source)
    path.write_text(CSV.replace("warm", "cold"))
    with pytest.raises(DataError, match="the input has changed"):
        check_unchanged(source)
    path.write_text(CSV + "longer,good\n")
    with pytest.raises(DataError, match="the input has changed"):
        check_unchanged(source)
    path.unlink()
    with pytest.raises(DataError, match="no longer there"):
        check_unchanged(source)


def test_input_edited_while_it_is_read(tmp_path):
    path = put(tmp_path, "a.jsonl", '{"text": "a"}\n' * 5000)
    stream = stream_texts(path, batch_rows=1000)
    next(stream)
    path.write_text('{"text": "b"}\n' * 5000)
    with pytest.raises(DataError, match="changed while it was being read"):
        list(stream)


def test_no_such_file(tmp_path):
    assert "there is no such file" in refusal(tmp_path / "nowhere.csv")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["a[1]*?.csv", "it's.csv", "label=x.csv", "বাংলা.csv"])
def test_names_that_are_patterns_elsewhere(tmp_path, name):
    put(tmp_path, "a1x.csv", "text,label\nwrong,w\nwrong,v\n")
    assert len(read_corpus(put(tmp_path, name, CSV))) == 6


# ---- long lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_ten_megabyte_line_is_cut_and_told(tmp_path, name):
    texts, labels = ["é" * 5_000_000, "short", "text", "here"], ["x", "y", "x", "y"]
    path = tmp_path / name
    if name == "a.csv":
        put(
            tmp_path, name, "text,label\n" + "".join(f"{t},{c}\n" for t, c in zip(texts, labels, strict=True))
        )
    elif name == "a.jsonl":
        lines = [
            json.dumps({"text": t, "label": c}, ensure_ascii=False)
            for t, c in zip(texts, labels, strict=True)
        ]
        put(tmp_path, name, "\n".join(lines))
    else:
        write_parquet(pa.table({"text": texts, "label": labels}), path)
    corpus = read_corpus(path)
    assert corpus.texts[0].as_py() == "é" * 1_000_000
    assert corpus.texts.to_pylist()[1:] == texts[1:]
    assert "1 text cut at 1,000,000 characters" in corpus.source.notes
    stream = stream_texts(path)
    assert sum(batch.num_rows for batch in stream) == 4
    assert stream.cut_rows == [0]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_twenty_megabyte_line_is_refused(tmp_path, name):
    long = "a" * 20_000_000
    csv, jsonl = (
        CSV + f"{long},good\n",
        f'{{"text": "b", "label": "x"}}\n{{"text": "{long}", "label": "y"}}\n',
    )
    path = put(tmp_path, name, csv if name == "a.csv" else jsonl)
    assert "16 MB" in refusal(path)
    assert len(refusal(path)) < 400


def test_rejects_of_a_text_file(tmp_path):
    path = put(tmp_path, "a.txt", b"one\n\nt\xffwo\nthree\n")
    with pytest.raises(DataError, match=r"a.txt:3: 1 row cannot be used"):
        read_texts(path)
    texts, source = read_texts(path, TextOptions(max_rejects=1))
    assert texts.to_pylist() == ["one", "three"]
    assert source.notes == ("1 row refused and left out",)
