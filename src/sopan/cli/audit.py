"""`sopan audit DATA`: what would spoil a comparison."""

from __future__ import annotations

import json

from sopan.cli import options as o


def run(
    data: o.Data,
    text: o.Text = None,
    label: o.Label = None,
    split_column: o.SplitColumn = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    train: o.Train = None,
    val: o.Val = None,
    test: o.Test = None,
    seed: o.Seed = 0,
    as_json: o.AsJson = False,
) -> None:
    """Look for duplicates, leaks between splits, conflicting labels, empties and imbalance."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show import show_audit  # noqa: PLC0415

    found = usecases.audit(
        data,
        seed=seed,
        text=text,
        label=label,
        split_column=split_column,
        header=not no_header,
        encoding=encoding,
        max_rejects=max_rejects,
        train=train,
        val=val,
        test=test,
    )
    if as_json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        show_audit(found)
