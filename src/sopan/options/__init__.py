"""What a user may choose, declared once: one frozen dataclass a use case, one field an option.

From a field come the Python keyword, the command line's flag, its `SOPAN_…` twin in the environment, and
the entry in `config.json`; from the class's docstring the command's help. To add an option, add a field here
and use it where it matters: nothing between changes.
"""
