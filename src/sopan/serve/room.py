"""The room: what the presenter shows, followed live by all who want to, and a poll that all may answer."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, NotRequired

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field, StrictBool, StrictInt, StrictStr
from typing_extensions import TypedDict

from sopan.serve.limits import StrictRoute
from sopan.serve.model_client import ModelClient
from sopan.serve.refusals import Refusal, busy, documented, refusals
from sopan.serve.schemas import Name, RequestBody, Text, examples
from sopan.serve.security import check_token

COOKIE = "sopan_client"
_ID = re.compile(r"[0-9a-f]{32}")
MOST_VOTERS = 10_000
"""The oldest votes are forgotten beyond these: nobody may fill the memory with cookies."""
MOST_LISTENERS = 1000
AT_MOST_EVERY = 0.2
"""Seconds between two events, so that a hundred votes are not a hundred events for each of a hundred."""
KEEP_OPEN = 15.0
"""Seconds without a change after which a comment keeps the connection open."""
EVENTS = {
    "description": "Events named `room`, whose data is the state of the room as JSON.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}

Option = Annotated[StrictStr, Field(min_length=1, max_length=100)]


class PollRequest(RequestBody):
    """A question to the room."""

    question: Annotated[StrictStr, Field(max_length=300)] = ""
    options: Annotated[list[Option], Field(min_length=2, max_length=12)]
    open: StrictBool = True


class ShowRequest(
    RequestBody, json_schema_extra=examples({"presenting": True, "text": "a warm film", "slide": 2})
):
    """What the presenter shows; only what is named changes."""

    presenting: StrictBool | None = None
    text: Text | None = None
    step: Name | None = None
    slide: Annotated[StrictInt, Field(ge=0, le=10_000)] | None = None
    poll: PollRequest | None = None


class VoteRequest(RequestBody, json_schema_extra=examples({"choice": "positive"})):
    """One client's choice."""

    choice: Option


class Poll(TypedDict):
    """The poll and its votes."""

    open: bool
    question: str
    options: list[str]
    votes: dict[str, int]


class RoomAnswer(TypedDict):
    """The state of the room; `yours` is this client's vote, which the events do not have."""

    model: str
    version: int
    presenting: bool
    text: str | None
    step: str | None
    slide: int
    poll: Poll | None
    here: int
    yours: NotRequired[str | None]


@dataclass
class Room:
    """What is shown, the votes, and who listens."""

    presenting: bool = False
    text: str | None = None
    step: str | None = None
    slide: int = 0
    poll: PollRequest | None = None
    votes: OrderedDict[str, str] = field(default_factory=OrderedDict)
    version: int = 0
    here: int = 0
    closed: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, body: ShowRequest) -> None:
        """Change what is named."""
        named = body.model_fields_set
        self.text = body.text if "text" in named else self.text
        self.step = body.step if "step" in named else self.step
        self.presenting = self.presenting if body.presenting is None else body.presenting
        self.slide = self.slide if body.slide is None else body.slide
        if "poll" in named:
            old, self.poll = self.poll, body.poll
            if old is None or body.poll is None or old.options != body.poll.options:
                self.votes.clear()
        self.touch()

    def vote(self, client: str, choice: str) -> None:
        """Count one client's choice, in place of the one before.

        Raises:
            Refusal: 422, there is no open poll, or no such option.
        """
        if self.poll is None or not self.poll.open or choice not in self.poll.options:
            raise Refusal(422, "there is no open poll with that option", "no_poll")
        self.votes[client] = choice
        self.votes.move_to_end(client)
        while len(self.votes) > MOST_VOTERS:
            self.votes.popitem(last=False)
        self.touch()

    def touch(self) -> None:
        """Let the listeners know."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Let the listeners go."""
        self.closed = True
        self.touch()

    def state(self, model: str) -> RoomAnswer:
        """Return the state as all see it."""
        poll: Poll | None = None
        if self.poll is not None:
            votes = dict.fromkeys(self.poll.options, 0)
            for choice in self.votes.values():
                votes[choice] += 1
            poll = {
                "question": self.poll.question,
                "options": self.poll.options,
                "open": self.poll.open,
                "votes": votes,
            }
        return {
            "model": model,
            "version": self.version,
            "presenting": self.presenting,
            "text": self.text,
            "step": self.step,
            "slide": self.slide,
            "poll": poll,
            "here": self.here,
        }

    async def changed(self, version: int) -> None:
        """Wait until the state is not of this version any more."""
        event = self._changed
        if self.version == version and not self.closed:
            await event.wait()


def room_routes(room: Room, client: ModelClient, token: str) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/room", route_class=StrictRoute, tags=["room"])

    @router.get("", responses=documented(RoomAnswer))
    async def state(request: Request) -> RoomAnswer:
        """Say what is shown, and how the poll stands."""
        return {**room.state(client.hash), "yours": room.votes.get(_voter(request) or "")}

    @router.get("/events", response_class=StreamingResponse, responses={200: EVENTS, **refusals(429)})
    async def events() -> StreamingResponse:
        """Follow the room: server-sent events named `room`, each with the whole state."""
        if room.here >= MOST_LISTENERS:
            raise busy(5.0)
        return StreamingResponse(_events(room, client), media_type="text/event-stream")

    @router.post("/vote", responses=documented(RoomAnswer, 400, 403, 408, 413, 415, 422))
    async def vote(body: VoteRequest, request: Request) -> Response:
        """Answer the poll; one vote a client, the last one counts."""
        voter = _voter(request) or secrets.token_hex(16)
        room.vote(voter, body.choice)
        response = JSONResponse({**room.state(client.hash), "yours": body.choice})
        response.set_cookie(COOKIE, voter, max_age=86_400, httponly=True, samesite="strict", path="/room")
        return response

    @router.post("/show", responses=documented(RoomAnswer, 400, 401, 403, 408, 413, 415, 422))
    async def show(
        body: ShowRequest, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> RoomAnswer:
        """Show something to the room. Needs the token."""
        check_token(authorization, token)
        room.show(body)
        return await state(request)

    return router


def _voter(request: Request) -> str | None:
    """Return who votes: a number that we gave, or nobody."""
    given = request.cookies.get(COOKIE, "")
    return given if _ID.fullmatch(given) else None


async def _events(room: Room, client: ModelClient) -> AsyncIterator[str]:
    room.here += 1
    room.touch()
    try:
        version = -1
        while not room.closed:
            if room.version != version:
                version = room.version
                state = json.dumps(room.state(client.hash), ensure_ascii=False)
                yield f"event: room\nid: {version}\ndata: {state}\n\n"
                await asyncio.sleep(AT_MOST_EVERY)
            try:
                await asyncio.wait_for(room.changed(version), KEEP_OPEN)
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        room.here -= 1
        room.touch()
