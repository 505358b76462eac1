class LocalError(Exception):
    """Something the user should read; its message says what happened and what to do."""
