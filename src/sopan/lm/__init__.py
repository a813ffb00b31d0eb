"""Language models: pre-training, adapting, filling blanks, scoring and generating."""
