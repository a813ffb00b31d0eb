"""Teach a cheap step what a costly model knows."""

from __future__ import annotations

from pathlib import Path

from sopan.comparison.contenders import check_contenders
from sopan.errors import ConfigError
from sopan.fit.saved import MODEL_FILES
from sopan.fit.scores import EvaluationScores
from sopan.fit.served import load_served
from sopan.fit.teach import soft_labels
from sopan.fit.tune import Budget
from sopan.options.base import takes
from sopan.options.classify import DistillOptions
from sopan.options.names import StepName
from sopan.storage.atomic import check_replaceable, folder_lock
from sopan.storage.strict_json import read_json
from sopan.training.recipe import Monitor
from sopan.usecases.inputs import check_out, tuning_data
from sopan.usecases.models import tune_and_save


@takes(DistillOptions)
def distill(options: DistillOptions) -> EvaluationScores:
    """Tune and fit a step on labels and on what a teacher says of unlabelled texts; return its test scores.

    The unlabelled texts are held against the validation and test parts, which are left out of them.

    Raises:
        SopanError: the teacher, the step, the data or the folder cannot be used.
    """
    step, progress = student_name(options.into), options.progress
    (contender,) = check_contenders([step], options.settings)
    check_replaceable(check_out(options.out), MODEL_FILES)
    limit = Budget.parse(options.budget)
    teacher = load_served(options.teacher)
    taught_by = read_json(Path(options.teacher) / "config.json")["step"]
    with folder_lock(Path(options.out)):
        data = tuning_data(options)
        unlabelled = data.unlabelled
        assert unlabelled is not None, "DistillOptions asks for them"
        soft = soft_labels(
            teacher,
            unlabelled,
            data.corpus.classes,
            lambda done: progress(taught_by, {"stage": f"{done:,} of {len(unlabelled):,} texts read"}),
        )
        told = f"its probabilities of {len(unlabelled):,} unlabelled texts"
        note = f"Taught by a {taught_by}, which told {told}."
        scores, _ = tune_and_save(
            contender,
            data,
            options,
            options.out,
            limit,
            lambda number: Monitor(lambda training: progress(step, {"stage": training.line()})),
            soft=soft,
            notes=(note,),
        )
    return scores


def student_name(into: str) -> str:
    """Return the name of the step that learns, with the variant that is taught.

    Raises:
        ConfigError: another variant was named.
    """
    name = StepName.parse(into)
    if name.variant not in (None, "distilled"):
        raise ConfigError(
            f"{into!r} names a variant, and a step that is taught is one itself",
            next_step=f"name {name._replace(variant=None)}, and set what differs by --set",
        )
    return str(name._replace(variant="distilled"))
