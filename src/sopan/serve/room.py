"""The room: what the presenter shows, followed live by all who want to, and a poll that all may answer."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from sopan.serve.dispatch import ModelClient, busy
from sopan.serve.limits import Refusal, StrictRoute
from sopan.serve.refusals import Responses, refusals
from sopan.serve.schemas import Name, RequestBody, Text
from sopan.serve.security import check_token

COOKIE = "sopan_client"
_ID = re.compile(r"[0-9a-f]{32}")
MOST_VOTERS = 10_000
"""The oldest votes are forgotten beyond these: nobody may fill the memory with cookies."""
MOST_LISTENERS = 1000
AT_MOST_EVERY = 0.2
"""Seconds between two events, so that a hundred votes are not a hundred events for each of a hundred."""
KEEP_OPEN = 15.0

Option = Annotated[StrictStr, Field(min_length=1, max_length=100)]


class PollRequest(RequestBody):
    """A question to the room."""

    question: Annotated[StrictStr, Field(max_length=300)] = ""
    options: Annotated[list[Option], Field(min_length=2, max_length=12)]
    open: StrictBool = True


class ShowRequest(RequestBody):
    """What the presenter shows; only what is named changes."""

    presenting: StrictBool | None = None
    text: Text | None = None
    step: Name | None = None
    slide: Annotated[StrictInt, Field(ge=0, le=10_000)] | None = None
    poll: PollRequest | None = None
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"presenting": True, "text": "a warm film", "slide": 2}]}
    )


class VoteRequest(RequestBody):
    """One client's choice."""

    choice: Option
    model_config = ConfigDict(json_schema_extra={"examples": [{"choice": "positive"}]})


class PollTold(BaseModel):
    """The poll and its votes."""

    open: bool
    question: str
    options: list[str]
    votes: dict[str, int]


class RoomAnswer(BaseModel):
    """The state of the room."""

    model: str
    version: int
    presenting: bool
    text: str | None
    step: str | None
    slide: int
    poll: PollTold | None
    here: int
    yours: str | None = None


@dataclass
class Room:
    """What is shown, the votes, and who listens."""

    shown: dict[str, Any] = field(
        default_factory=lambda: {"presenting": False, "text": None, "step": None, "slide": 0}
    )
    poll: PollRequest | None = None
    votes: OrderedDict[str, str] = field(default_factory=OrderedDict)
    version: int = 0
    here: int = 0
    closed: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, asked: ShowRequest) -> None:
        """Change what is named."""
        named = asked.model_fields_set
        self.shown |= {name: getattr(asked, name) for name in named & {"text", "step"}}
        for name in named & {"presenting", "slide"}:
            if getattr(asked, name) is not None:
                self.shown[name] = getattr(asked, name)
        if "poll" in named:
            old, self.poll = self.poll, asked.poll
            if old is None or asked.poll is None or old.options != asked.poll.options:
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

    def told(self, model: str) -> dict[str, Any]:
        """Return the state as all see it."""
        poll = None
        if self.poll is not None:
            votes = dict.fromkeys(self.poll.options, 0)
            for choice in self.votes.values():
                votes[choice] += 1
            poll = {**self.poll.model_dump(), "votes": votes}
        return {"model": model, "version": self.version, **self.shown, "poll": poll, "here": self.here}

    async def changed(self, version: int) -> None:
        """Wait until the state is not of this version any more."""
        event = self._changed
        if self.version == version and not self.closed:
            await event.wait()


def room_routes(room: Room, client: ModelClient, token: str) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/room", route_class=StrictRoute, tags=["room"])
    told: Responses = {200: {"model": RoomAnswer}}

    @router.get("", responses=told)
    async def state(request: Request) -> dict[str, Any]:
        """Say what is shown, and how the poll stands."""
        return room.told(client.hash) | {"yours": room.votes.get(_voter(request) or "")}

    @router.get("/events", response_class=StreamingResponse, responses={200: _EVENTS, **refusals(429)})
    async def events() -> StreamingResponse:
        """Follow the room: server-sent events named `room`, each with the whole state."""
        if room.here >= MOST_LISTENERS:
            raise busy(5.0)
        return StreamingResponse(_events(room, client), media_type="text/event-stream")

    @router.post("/vote", responses={**told, **refusals(400, 403, 408, 413, 415, 422)})
    async def vote(asked: VoteRequest, request: Request) -> Response:
        """Answer the poll; one vote a client, the last one counts."""
        voter = _voter(request) or secrets.token_hex(16)
        room.vote(voter, asked.choice)
        response = JSONResponse(room.told(client.hash) | {"yours": asked.choice})
        response.set_cookie(COOKIE, voter, max_age=86_400, httponly=True, samesite="strict", path="/room")
        return response

    @router.post("/show", responses={**told, **refusals(400, 401, 403, 408, 413, 415, 422)})
    async def show(
        asked: ShowRequest, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        """Show something to the room. Needs the token."""
        check_token(authorization, token)
        room.show(asked)
        return room.told(client.hash) | {"yours": room.votes.get(_voter(request) or "")}

    return router


_EVENTS: dict[str, Any] = {
    "description": "Events named `room`, whose data is the state of the room as JSON.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


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
                state = json.dumps(room.told(client.hash), ensure_ascii=False)
                yield f"event: room\nid: {version}\ndata: {state}\n\n"
                await asyncio.sleep(AT_MOST_EVERY)
            try:
                await asyncio.wait_for(room.changed(version), KEEP_OPEN)
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        room.here -= 1
        room.touch()
