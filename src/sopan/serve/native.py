"""The native API: one question, all steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from sopan.serve import schemas as s
from sopan.serve.dispatch import ModelClient
from sopan.serve.guess_schemas import GuessAnswer, GuessRequest
from sopan.serve.limits import MOST_BYTES, MOST_CHARACTERS, MOST_TEXTS, SECONDS, StrictRoute
from sopan.serve.maps import Maps
from sopan.serve.queueing import SLOW, padded
from sopan.serve.refusals import Responses, refusals
from sopan.serve.tables import MOST_TABLE_BYTES, MOST_TABLE_ROWS

LETTERS_A_WORD = 5
MOST_READ = 400
"""Times that a text is read again for its explanation, at most, for the estimate of its cost."""

Optional = Annotated[str | None, Query(max_length=100)]


def native(client: ModelClient, maps: Maps) -> APIRouter:
    """Make the routes."""
    router = APIRouter(route_class=StrictRoute, tags=["sopan"])
    _about_runs(router, client, maps)
    _about_texts(router, client)
    _about_words(router, client)
    return router


def _about_runs(router: APIRouter, client: ModelClient, maps: Maps) -> None:

    @router.get("/run", responses={200: {"model": s.RunAnswer}, **refusals(503)})
    async def run() -> dict[str, Any]:
        """Say what is served: steps, scores, verdict, limits."""
        steps = [{k: v for k, v in step.items() if k != "folder"} for step in client.about["steps"]]
        limits = {
            **{"bytes": MOST_BYTES, "texts": MOST_TEXTS, "characters": MOST_CHARACTERS, "seconds": SECONDS},
            **{"table_bytes": MOST_TABLE_BYTES, "table_rows": MOST_TABLE_ROWS},
        }
        return {**client.about, "steps": steps, "limits": limits}

    @router.get("/disagreements", responses=_answers(s.DisagreementsAnswer, read=True))
    async def disagreements(request: Request, a: Optional = None, b: Optional = None) -> Response:
        """Count the test texts on which steps differ, and show some."""
        client.check_steps([step for step in (a, b) if step is not None] or None)
        return await client.respond(request, {"op": "disagreements", "a": a, "b": b})

    @router.get("/vectors", responses=_answers(s.VectorsAnswer, read=True))
    async def vectors(
        step: Annotated[str, Query(max_length=100)] = "cbow", view: Literal["pca", "tsne"] = "pca"
    ) -> Response:
        """Show the words of a step on a map."""
        return Response(await maps.get(step, view), media_type="application/json")


def _about_texts(router: APIRouter, client: ModelClient) -> None:
    @router.post("/predict", responses=_answers(s.PredictAnswer))
    async def predict(asked: s.PredictRequest, request: Request) -> Response:
        """Classify one text or up to 32, by every step."""
        question = {"op": "predict", "texts": asked.all, "steps": client.check_steps(asked.steps)}
        return await client.respond(request, question, length=padded(asked.all), count=len(asked.all))

    @router.post("/explain", responses=_answers(s.ExplainAnswer))
    async def explain(asked: s.ExplainRequest, request: Request) -> Response:
        """Say what each word did for the label: exactly, or by taking it away."""
        question = {"op": "explain", "text": asked.text, "steps": client.check_steps(asked.steps)}
        count = min(MOST_READ, 1 + len(asked.text) // LETTERS_A_WORD)
        return await client.respond(request, question, kind=SLOW, length=padded([asked.text]), count=count)

    @router.post("/tokens", responses=_answers(s.TokensAnswer))
    async def tokens(asked: s.TokensRequest, request: Request) -> Response:
        """Show how each step sees a text: words or pieces, the bag, and attention if it is asked."""
        question = {
            **{"op": "tokens", "text": asked.text, "steps": client.check_steps(asked.steps)},
            "attention": asked.attention,
        }
        if asked.attention:
            return await client.respond(request, question, kind=SLOW, length=256, count=8)
        return await client.respond(request, question, length=padded([asked.text]))

    @router.post("/embed", responses=_answers(s.EmbedAnswer))
    async def embed(asked: s.EmbedRequest, request: Request) -> Response:
        """Turn texts into vectors, at each step that has dense ones."""
        question = {"op": "embed", "texts": asked.all, "steps": client.check_steps(asked.steps)}
        return await client.respond(request, question, length=padded(asked.all), count=len(asked.all))


def _about_words(router: APIRouter, client: ModelClient) -> None:
    @router.post("/neighbors", responses=_answers(s.NeighborsAnswer))
    async def neighbors(asked: s.NeighborsRequest, request: Request) -> Response:
        """List the words nearest to a word, at each step that has vectors of words."""
        question = {
            **{"op": "neighbors", "word": asked.word, "top": asked.top},
            "steps": client.check_steps(asked.steps),
        }
        return await client.respond(request, question, length=64)

    @router.post("/guess", responses=_answers(GuessAnswer))
    async def guess(asked: GuessRequest, request: Request) -> Response:
        """Guess a word from those around it, as CBOW learnt: `StepGuesses` says what is computed."""
        question = {
            **{"op": "guess", "context": asked.context, "word": asked.word, "top": asked.top},
            "steps": client.check_steps(asked.steps),
        }
        return await client.respond(request, question, length=64)

    @router.post("/fill", responses=_answers(s.FillAnswer))
    async def fill(asked: s.FillRequest, request: Request) -> Response:
        """Fill the blanks of a text, each written `[MASK]`."""
        question = {"op": "fill", "text": asked.text, "top": asked.top, "left_only": asked.left_only}
        return await client.respond(request, question, kind=SLOW, length=padded([asked.text]), count=4)

    @router.post("/score", responses=_answers(s.ScoreAnswer))
    async def score(asked: s.ScoreRequest, request: Request) -> Response:
        """Say how likely the language model finds texts and each of their words."""
        question = {"op": "score", "texts": asked.all}
        length = padded(asked.all)
        return await client.respond(
            request, question, kind=SLOW, length=length, count=length * len(asked.all)
        )


def _answers(model: type[s.ResponseBody], *, read: bool = False) -> Responses:
    every = (422, 429, 503) if read else (400, 403, 408, 413, 415, 422, 429, 503)
    return {200: {"model": model}, **refusals(*every)}
