"""Maps of words: made once by a process of its own, behind everything else, and kept."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import platformdirs

from sopan.serve.model_client import ModelClient
from sopan.serve.refusals import Refusal, not_ready
from sopan.serve.schemas import VectorsAnswer
from sopan.usecases.served.answers import Projection, WordMap

PATIENCE = 8.0
"""Seconds that a client waits for a map that is being made."""
LAST = 120.0
"""Seconds that making one may take."""


class WordMaps:
    """The maps of the words of all steps.

    Args:
        client: what is served.
    """

    def __init__(self, client: ModelClient) -> None:
        self._client = client
        self._cache = Path(platformdirs.user_cache_dir("sopan")) / "maps"
        self._making: dict[Path, asyncio.Task[None]] = {}

    async def get(self, step: str, view: Projection) -> bytes:
        """Return a map as JSON.

        Raises:
            Refusal: 422, there is no such step, or it has no vectors; 503, the map is being made.
        """
        about = self._client.about
        found = next((each for each in about["steps"] if each["step"] == step), None)
        if found is None or "vectors" not in found["has"]:
            able = [each["step"] for each in about["steps"] if "vectors" in each["has"]]
            raise Refusal(422, f"steps with words on a map: {', '.join(able) or 'none'}", "unknown_step")
        path = self._cache / f"{found['hash']}-{view}.json"
        if not path.is_file():
            await self._made(path, found["folder"], view)
        content: WordMap = json.loads(await asyncio.to_thread(path.read_bytes))
        answer: VectorsAnswer = {"model": about["model"], "step": step, **content}
        return json.dumps(answer, ensure_ascii=False).encode()

    async def _made(self, path: Path, folder: str, view: str) -> None:
        task = self._making.get(path)
        if task is None:
            task = self._making[path] = asyncio.create_task(self._make(path, folder, view))
            task.add_done_callback(lambda _: self._making.pop(path, None))
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            raise not_ready("the map is being made", 2.0)
        if not path.is_file():
            raise not_ready("the map cannot be made now", 5.0)

    async def _make(self, path: Path, folder: str, view: str) -> None:
        command = [sys.executable, "-m", "sopan.serve.child", "map", folder, view, str(path)]
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        try:
            await asyncio.wait_for(process.wait(), LAST)
        finally:
            if process.returncode is None:
                process.kill()

    async def close(self) -> None:
        """Stop making maps."""
        for task in list(self._making.values()):
            task.cancel()
