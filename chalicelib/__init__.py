"""Vestnik, a mailing service that answers for every message."""

__version__ = "0.1.0"
