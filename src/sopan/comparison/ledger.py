"""What a run has measured so far: an outcome for each contender, kept beside its model in the run's folder.

A run that was killed, or one that gets another contender, need not measure again what stands here: the same
contender, settings, options and texts under the same version, and the very model that was measured. What is
made of other contenders, or learns from one, hangs on all of theirs too, and on the margin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from sopan import __version__
from sopan.comparison.combining import rank
from sopan.comparison.contenders import Contender
from sopan.comparison.jobs import Outcome
from sopan.comparison.results import DataSummary, model_folder
from sopan.errors import ModelFolderError
from sopan.options.classify import INPUTS, CompareOptions
from sopan.options.names import path_name
from sopan.storage.manifest import MANIFEST, sha256_of
from sopan.storage.strict_json import dump_json
from sopan.text.audit import CleanData

OUTCOMES = "outcomes"
"""The folder of a run that holds them."""
_ELSEWHERE = (*INPUTS, "out", "steps", "settings", "resume", "overwrite", "margin")
"""Options that do not change what one contender's worker does, or that its own part of the key holds."""


class Ledger:
    """The outcomes of one run's folder.

    Args:
        options: how is compared; the folder is named.
        contenders: all that are compared.
        data, summary: what is trained and measured on.
    """

    def __init__(
        self,
        options: CompareOptions,
        contenders: Sequence[Contender],
        data: CleanData,
        summary: DataSummary,
    ) -> None:
        self._run, self._margin = Path(str(options.out)), options.margin
        self._contenders = [one for one in contenders if one.estimator is None]
        chosen = {name: value for name, value in options.as_json().items() if name not in _ELSEWHERE}
        self._common = [__version__, chosen, summary.as_json(), _checksum(data.unlabelled)]
        leaks = len(data.given.train) != len(data.split.train)
        self._put_back = (options.steps or [""])[0] if leaks else None

    def found(self) -> dict[str, Outcome]:
        """Return the outcomes of those contenders that were measured before, just as they would be now."""
        outcomes = {}
        for contender in self._contenders:
            path = self._path(contender)
            if path.is_file():
                try:
                    outcome, key = Outcome.read(path), self._key(contender)
                except ModelFolderError:
                    continue  # damaged: it is measured again
                if outcome.key == key:
                    outcomes[contender.name] = outcome
        return outcomes

    def keep(self, contender: Contender, outcome: Outcome) -> None:
        """Keep what was measured; an estimator from outside has nothing to be known again by."""
        if contender.estimator is None:
            path = self._path(contender)
            path.parent.mkdir(exist_ok=True)
            outcome.write(path, key=self._key(contender))

    def _path(self, contender: Contender) -> Path:
        return self._run / OUTCOMES / f"{path_name(contender.name)}.safetensors"

    def _key(self, contender: Contender) -> str:
        """Return what an outcome hangs on, as a checksum; the model that was measured is part of it."""
        sealed = model_folder(self._run, contender.name) / MANIFEST
        model = sha256_of(sealed) if sealed.is_file() else ""
        put_back = contender.name == self._put_back
        about = [*self._common, contender.name, dict(contender.settings), put_back, model]
        if own := rank(contender.name):  # it is made of the others, or learns from one of them
            about += [self._margin, [self._key(one) for one in self._contenders if rank(one.name) < own]]
        return hashlib.sha256(dump_json({"about": about})).hexdigest()


def _checksum(texts: pa.LargeStringArray | None) -> str:
    digest = hashlib.sha256()
    for text in [] if texts is None else texts.to_pylist():
        body = text.encode()
        digest.update(len(body).to_bytes(8, "little") + body)
    return digest.hexdigest()
