"""A table of one's own: audited and scored as sopan itself would, or refused in one line; nothing stays."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import os
import signal
import threading
import time
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from quick_steps import LABELS, TEXTS
from serving import STEPS, Server

from sopan import usecases
from sopan.errors import DataError
from sopan.serve.tables import PORTION, portions
from sopan.usecases.served.user_table import own_words

CSV = {"Content-Type": "text/csv"}
SECRET = "xyzzy-secret"


def written(rows, header=("text", "label"), delimiter=",") -> bytes:
    place = io.StringIO(newline="")
    csv.writer(place, delimiter=delimiter).writerows([header, *rows])
    return place.getvalue().encode()


def send(server: Server, content: bytes, kind: str = "text/csv") -> httpx.Response:
    return server.client.post("/table", content=content, headers={"Content-Type": kind})


def scratch(server: Server) -> Path:
    """The folder in which the server's child has its temporary files."""
    given = Path(f"/proc/{server.child()}/environ").read_bytes().split(b"\0")
    return Path(next(one for one in given if one.startswith(b"TMPDIR=")).decode().partition("=")[2])


# ---- what is told ------------------------------------------------------------------------------------


def test_a_table_is_scored_as_evaluate_scores_it(server: Server, run_folder: Path, tmp_path: Path) -> None:
    texts = [*TEXTS[::3], "gulls and gulls", "zzz", 'soup, "and" roses\nand nets']
    labels = [*LABELS[::3], "kitchen", "harbour", "garden"]
    content = written(zip(texts, labels, strict=True))
    (tmp_path / "own.csv").write_bytes(content)
    told = send(server, content).json()
    assert told["unmeasured"] is None
    board = told["leaderboard"]
    assert board["texts"] == told["audit"]["texts"] == len(texts)
    assert [one["step"] for one in board["steps"]] == list(STEPS)
    for one in board["steps"]:
        own = usecases.evaluate(run_folder / "models" / one["step"], tmp_path / "own.csv")
        assert one["accuracy"] == pytest.approx(own.accuracy, abs=1e-6)
        assert one["macro_f1"] == pytest.approx(own.macro_f1, abs=1e-6)
        np.testing.assert_allclose(one["accuracy_ci"], own.accuracy_ci, atol=1e-6)
    said = {step: usecases.load(run_folder / "models" / step).predict(texts) for step in STEPS}
    differ = [i for i in range(len(texts)) if len({said[step][i] for step in STEPS}) > 1]
    assert board["disagreements"]["count"] == len(differ) > 0
    for shown in board["disagreements"]["texts"]:
        assert shown["row"] in differ
        assert (shown["text"], shown["label"]) == (texts[shown["row"]], labels[shown["row"]])
        assert shown["predicted"] == {step: said[step][shown["row"]] for step in STEPS}


def test_the_audit_is_sopans_own(server: Server) -> None:
    rows = [(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]
    rows += [rows[0], ("", "garden"), (rows[1][0], "harbour")]
    audit = send(server, written(rows)).json()["audit"]
    assert audit["texts"] == len(TEXTS) + 3
    assert audit["duplicates"] == 2
    assert audit["conflicts"] == 2
    assert audit["empty"] == 1
    assert [(one["class"], one["texts"]) for one in audit["classes"]] == [
        ("garden", 22),
        ("harbour", 21),
        ("kitchen", 20),
    ]
    assert audit["imbalance"] == pytest.approx(1.1)
    assert audit["lengths"]["words"]["max"] == max(len(text.split()) for text in TEXTS)
    codes = {finding["code"] for finding in audit["findings"]}
    assert {"conflicting_labels", "empty", "duplicates"} <= codes
    assert not codes & {"class_not_in_test", "class_not_in_train", "leak", "removed"}, "it is one part"


@pytest.mark.parametrize("kind", ["text/csv", "text/tab-separated-values", "application/x-ndjson"])
def test_every_form_says_the_same(server: Server, kind: str) -> None:
    rows = [(TEXTS[i], LABELS[i]) for i in range(0, 60, 5)]
    plain = send(server, written(rows)).json()
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    forms = {"text/csv": written(rows), "text/tab-separated-values": written(rows, delimiter="\t")}
    assert send(server, forms.get(kind, lines.encode()), kind).json() == plain
    assert send(server, forms.get(kind, lines.encode()), f"{kind}; charset=UTF-8").json() == plain


def test_other_labels_and_none_get_the_audit_alone(server: Server) -> None:
    other = send(server, written([(TEXTS[i], "ab"[i % 2]) for i in range(20)])).json()
    assert other["leaderboard"] is None
    assert other["unmeasured"]["reason"] == "other_labels"
    assert len(other["audit"]["classes"]) == 2
    bare = send(server, written([(text,) for text in TEXTS], header=("text",))).json()
    assert bare["leaderboard"] is None
    assert bare["unmeasured"]["reason"] == "no_labels"
    assert bare["audit"]["texts"] == len(TEXTS)
    assert bare["audit"]["classes"] == []
    gaps = send(server, written([(TEXTS[0], "garden"), (TEXTS[1], ""), (TEXTS[2], "garden")])).json()
    assert gaps["unmeasured"] == {"reason": "no_labels", "detail": "1 row cannot be used (line 3)"}


def test_rows_that_the_table_names_for_testing_are_those_that_are_scored(server: Server) -> None:
    rows = [(TEXTS[i], LABELS[i], "test" if i % 3 else "train") for i in range(60)]
    told = send(server, written(rows, header=("text", "label", "split"))).json()
    assert told["audit"]["texts"] == 60
    assert told["leaderboard"]["texts"] == 40
    assert all(one["row"] % 3 for one in told["leaderboard"]["disagreements"]["texts"])


def test_portions_hold_every_text_once_and_are_small() -> None:
    lengths = np.random.default_rng(0).integers(0, 4000, 700)
    texts = ["x" * length for length in lengths]
    found = portions(texts)
    assert sorted(i for portion in found for i in portion) == list(range(700))
    assert all(len(portion) == 1 or len(portion) * lengths[portion].max() / 4 <= PORTION for portion in found)
    assert max(map(len, found)) == 32


# ---- what is refused -----------------------------------------------------------------------------------


def zipped() -> bytes:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("../../etc/own.csv", written([(SECRET, "garden")]))
    return place.getvalue()


TABLES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "white space": (b" \n\n ", 200),
    "a header alone": (b"text,label\n", 422),
    "a bomb of gzip": (gzip.compress(b"text,label\n" + b"a,garden\n" * 2_000_000), 422),
    "a zip that climbs": (zipped(), 422),
    "Parquet": (b"PAR1" + b"\1" * 100, 422),
    "Zstandard": (b"\x28\xb5\x2f\xfd" + b"\1" * 100, 422),
    "binary": (bytes(range(256)) * 20, 422),
    "NUL": (written([(f"{SECRET}\0", "garden")] * 4), 422),
    "UTF-16": (written([(SECRET, "garden")]).decode().encode("utf-16"), 422),
    "Latin-1": (written([(f"{SECRET} é", "garden")]).decode().encode("latin-1"), 422),
    "no header": (written([(SECRET, "garden"), ("b b b", "garden")], header=(SECRET, "garden")), 422),
    "a quote left open": (f'text,label\n"{SECRET},garden\nb,harbour\n'.encode(), 422),
    "a field too many": (f"text,label\n{SECRET},garden,more\nb,harbour\n".encode(), 422),
    "a column twice": (f"{SECRET},{SECRET}\na,b\n".encode(), 422),
    "two columns of texts": (
        written([(f"{SECRET} {i}", f"{SECRET} {i}") for i in range(9)], ("a", "b")),
        422,
    ),
    "a split of other names": (written([(SECRET, "garden", SECRET)] * 4, ("text", "label", "split")), 200),
    "one label only": (written([(SECRET, SECRET)] * 4), 200),
    "labels spelt in two ways": (written([(SECRET, SECRET), (SECRET, f" {SECRET}")] * 4), 200),
    "2,001 rows": (written([(f"{i}", "garden") for i in range(2001)]), 422),
    "too large": (written([(SECRET * 10, "garden")] * 20_000), 413),
    "one line of 10 MB": (b"text,label\n" + b"a" * 10_000_000 + b",garden\n", 413),
    "a deep object a line": (b'{"text": ' + b"[" * 100_000 + b"\n", 422),
}


@pytest.mark.parametrize("name", TABLES)
def test_bad_tables_are_refused_and_not_repeated(server: Server, name: str) -> None:
    body, status = TABLES[name]
    try:
        answer = send(server, body)
    except httpx.TransportError:  # the line was closed on a body that went on and on
        assert name == "one line of 10 MB"
        return
    assert answer.status_code == status, answer.text
    told = answer.json()
    if status == 200:
        assert told["leaderboard"] is None
        assert SECRET not in json.dumps(told["unmeasured"])
    else:
        assert set(told) == {"error", "error_type"}
        assert SECRET not in answer.text
        assert "/" not in told["error"].replace("text/", "").replace("application/", ""), (
            "no path of this machine"
        )
    assert list(scratch(server).iterdir()) == []
    assert send(server, written([(TEXTS[i], LABELS[i]) for i in range(0, 60, 5)])).status_code == 200


def test_lines_of_json_are_held_to_the_same(server: Server) -> None:
    for line in (
        f'["{SECRET}"]',
        f'{{"text": "{SECRET}", "text": "b"}}',
        '{"text": NaN}',
        f"{SECRET}",
        "1e999",
    ):
        answer = send(server, f"{line}\n{line}\n".encode(), "application/x-ndjson")
        assert answer.status_code == 422, line
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "multipart/form-data", "text/csv; charset=latin-1", ""]
)
def test_other_types_are_refused(server: Server, kind: str) -> None:
    answer = send(server, written([("a", "b")]), kind)
    assert answer.status_code == 415
    assert "text/csv" in answer.json()["error"]


def test_names_mean_nothing(server: Server) -> None:
    content = written([(TEXTS[i], LABELS[i]) for i in range(0, 60, 5)])
    plain = send(server, content).json()
    for name in ("../../etc/passwd", "own.csv.gz", "/dev/zero", "imdb", "a\0b", "x" * 3000):
        answer = server.client.post("/table", params={"name": name}, content=content, headers=CSV)
        assert answer.json() == plain


def test_another_page_cannot_send_one(server: Server) -> None:
    answer = server.client.post(
        "/table", content=b"text\na\n", headers=CSV | {"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_what_is_quoted_listed_or_in_brackets_is_not_told() -> None:
    error = DataError(f"the class '{SECRET}\\' (' has one (x)", where=f"/tmp/{SECRET}.csv:17")
    assert own_words(error) == "the class … has one (line 17)"
    assert own_words(DataError(f"labels: {SECRET}")) == "labels"


# ---- beside others ---------------------------------------------------------------------------------------


def test_others_are_answered_while_a_table_is_measured(server: Server) -> None:
    content = written([(f"{TEXTS[i % 60]} {i}", LABELS[i % 60]) for i in range(2000)])
    answers: list[httpx.Response] = []

    def measure() -> None:
        answers.append(httpx.post(f"{server.address}/table", content=content, headers=CSV, timeout=90))

    thread = threading.Thread(target=measure)
    thread.start()
    waits, number = [], 0
    while thread.is_alive():
        started = time.monotonic()
        number += 1
        assert server.client.post("/predict", json={"text": f"beside {number}"}).status_code == 200
        waits.append(time.monotonic() - started)
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json()["leaderboard"]["texts"] == 2000
    assert len(waits) > 2
    assert max(waits) < 2


def test_too_many_tables_at_once_are_told_to_come_back(server: Server) -> None:
    content = written([(f"{TEXTS[i % 60]} {i}", LABELS[i % 60]) for i in range(1000)])

    async def flood() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.address, timeout=90) as client:
            return await asyncio.gather(
                *(client.post("/table", content=content, headers=CSV) for _ in range(9))
            )

    answers = asyncio.run(flood())
    assert {answer.status_code for answer in answers} == {200, 429}
    told = [answer.json() for answer in answers if answer.status_code == 429]
    assert all(one["error_type"] == "busy" and one["retry_after"] > 0 for one in told)
    whole = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(one == whole[0] and one["leaderboard"]["texts"] == 1000 for one in whole)


def test_nothing_is_left_when_the_child_is_killed_or_the_server_stops(run_folder: Path) -> None:
    from serving import serving

    with serving(run_folder, "--port", "0", "--lm", "none") as server:
        server.until_ready()
        first = scratch(server)
        assert first.is_dir()
        os.kill(server.child(), signal.SIGKILL)
        while server.client.get("/v2/health/ready").status_code == 200:
            time.sleep(0.01)
        server.until_ready()
        second = scratch(server)
        assert not first.exists()
        assert send(server, written([(TEXTS[i], LABELS[i]) for i in range(0, 60, 5)])).status_code == 200
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        until = time.monotonic() + 10
        while second.exists() and time.monotonic() < until:
            time.sleep(0.05)
    assert not second.exists()


def test_openapi_shows_a_table_and_its_refusals(server: Server) -> None:
    told = server.client.get("/openapi.json").json()["paths"]["/table"]["post"]
    assert {"200", "400", "403", "408", "413", "415", "422", "429", "503"} <= set(told["responses"])
    assert "2,097,152" in told["responses"]["413"]["content"]["application/json"]["example"]["error"]
    for kind, content in told["requestBody"]["content"].items():
        answer = send(server, content["example"].encode(), kind)
        assert answer.status_code == 200, kind
        assert answer.json()["unmeasured"]["reason"] == "other_labels"
    assert len(told["requestBody"]["content"]) == 4
