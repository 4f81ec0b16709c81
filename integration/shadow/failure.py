"""What a command can fail with."""


class Failure(Exception):
    """Says in one sentence what is wrong, for whoever has called."""
