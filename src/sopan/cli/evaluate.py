"""`sopan evaluate MODEL DATA`: measure a saved model on labelled texts."""

from __future__ import annotations

import json

from sopan.cli import options as o


def run(
    model: o.Model,
    data: o.Data,
    text: o.Text = None,
    label: o.Label = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    as_json: o.AsJson = False,
) -> None:
    """Measure a saved model on every labelled text of DATA."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show import show_scores  # noqa: PLC0415

    scores = usecases.evaluate(
        model,
        data,
        text=text,
        label=label,
        header=not no_header,
        encoding=encoding,
        max_rejects=max_rejects,
    )
    if as_json:
        print(json.dumps(scores, ensure_ascii=False))
    else:
        show_scores(scores, f"{model} on {data}")
