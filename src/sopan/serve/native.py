"""The native API: one question, all steps."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sopan.serve import schemas as s
from sopan.serve.dispatch import SLOW, Cost, padded
from sopan.serve.limits import MOST_BYTES, MOST_CHARACTERS, MOST_TEXTS, SECONDS, StrictRoute
from sopan.serve.model_client import ModelClient
from sopan.serve.refusals import documented
from sopan.serve.tables import MOST_TABLE_BYTES, MOST_TABLE_ROWS
from sopan.serve.word_maps import WordMaps
from sopan.usecases.served import DisagreementsAnswer, Question
from sopan.usecases.served.answers import (
    EmbedAnswer,
    ExplainAnswer,
    FillAnswer,
    GuessAnswer,
    NeighborsAnswer,
    PredictAnswer,
    Projection,
    ScoreAnswer,
    TokensAnswer,
)

LETTERS_A_WORD = 5
MOST_READ = 400
"""Times that a text is read again for its explanation, at most, for the estimate of its cost."""
LIMITS = {
    "bytes": MOST_BYTES,
    "texts": MOST_TEXTS,
    "characters": MOST_CHARACTERS,
    "seconds": SECONDS,
    "table_bytes": MOST_TABLE_BYTES,
    "table_rows": MOST_TABLE_ROWS,
}
READ = (422, 429, 503)
ASK = (400, 403, 408, 413, 415, 422, 429, 503)

StepName = Annotated[str, Query(max_length=100)]


def native(client: ModelClient, maps: WordMaps) -> APIRouter:
    """Make the routes."""
    router = APIRouter(route_class=StrictRoute, tags=["sopan"])
    _run_routes(router, client, maps)
    _text_routes(router, client)
    _word_routes(router, client)
    return router


def _run_routes(router: APIRouter, client: ModelClient, maps: WordMaps) -> None:
    @router.get("/run", responses=documented(s.RunAnswer, 503))
    async def run() -> dict[str, object]:
        """Say what is served: steps, scores, verdict, limits."""
        steps = [{k: v for k, v in step.items() if k != "folder"} for step in client.about["steps"]]
        return {**client.about, "steps": steps, "limits": LIMITS}

    @router.get("/disagreements", responses=documented(DisagreementsAnswer, *READ))
    async def disagreements(
        request: Request, a: StepName | None = None, b: StepName | None = None
    ) -> Response:
        """Count the test texts on which steps differ, and show some."""
        client.check_steps([step for step in (a, b) if step is not None])
        return await client.respond(request, Question("disagreements", {"a": a, "b": b}))

    @router.get("/vectors", responses=documented(s.VectorsAnswer, *READ))
    async def vectors(step: StepName = "cbow", view: Projection = "pca") -> Response:
        """Show the words of a step on a map."""
        return Response(await maps.get(step, view), media_type="application/json")


def _text_routes(router: APIRouter, client: ModelClient) -> None:
    @router.post("/predict", responses=documented(PredictAnswer, *ASK))
    async def predict(body: s.PredictRequest, request: Request) -> Response:
        """Classify one text or up to 32, by every step."""
        cost = Cost(length=padded(body.all), count=len(body.all))
        return await client.respond(request, body.as_question("predict"), cost)

    @router.post("/explain", responses=documented(ExplainAnswer, *ASK))
    async def explain(body: s.ExplainRequest, request: Request) -> Response:
        """Say what each word did for the label: exactly, or by taking it away."""
        count = min(MOST_READ, 1 + len(body.text) // LETTERS_A_WORD)
        cost = Cost(SLOW, padded([body.text]), count)
        return await client.respond(request, body.as_question("explain"), cost)

    @router.post("/tokens", responses=documented(TokensAnswer, *ASK))
    async def tokens(body: s.TokensRequest, request: Request) -> Response:
        """Show how each step sees a text: words or pieces, the bag, and attention if it is wanted."""
        cost = Cost(SLOW, length=256, count=8) if body.attention else Cost(length=padded([body.text]))
        return await client.respond(request, body.as_question("tokens"), cost)

    @router.post("/embed", responses=documented(EmbedAnswer, *ASK))
    async def embed(body: s.EmbedRequest, request: Request) -> Response:
        """Turn texts into vectors, at each step that has dense ones."""
        cost = Cost(length=padded(body.all), count=len(body.all))
        return await client.respond(request, body.as_question("embed"), cost)


def _word_routes(router: APIRouter, client: ModelClient) -> None:
    @router.post("/neighbors", responses=documented(NeighborsAnswer, *ASK))
    async def neighbors(body: s.NeighborsRequest, request: Request) -> Response:
        """List the words nearest to a word, at each step that has vectors of words."""
        return await client.respond(request, body.as_question("neighbors"), Cost(length=64))

    @router.post("/guess", responses=documented(GuessAnswer, *ASK))
    async def guess(body: s.GuessRequest, request: Request) -> Response:
        """Guess a word from those around it, as CBOW learnt: `StepGuesses` says what is computed."""
        return await client.respond(request, body.as_question("guess"), Cost(length=64))

    @router.post("/fill", responses=documented(FillAnswer, *ASK))
    async def fill(body: s.FillRequest, request: Request) -> Response:
        """Fill the blanks of a text, each written `[MASK]`."""
        cost = Cost(SLOW, padded([body.text]), count=4)
        return await client.respond(request, body.as_question("fill"), cost)

    @router.post("/score", responses=documented(ScoreAnswer, *ASK))
    async def score(body: s.ScoreRequest, request: Request) -> Response:
        """Say how likely the language model finds texts and each of their words."""
        length = padded(body.all)
        cost = Cost(SLOW, length, count=length * len(body.all))
        return await client.respond(request, body.as_question("score"), cost)
