"""What a caller may be allowed to do: the scopes of access tokens."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission that a token carries."""

    CLIENTS_READ = "clients:read"
    CLIENTS_WRITE = "clients:write"
    MAILINGS_READ = "mailings:read"
    MAILINGS_WRITE = "mailings:write"
    MAILINGS_SEND = "mailings:send"
    STATS_READ = "stats:read"
    ADMIN = "admin"


MEANINGS = {
    Scope.CLIENTS_READ: "read clients, suppressions and imports",
    Scope.CLIENTS_WRITE: "create, change, delete, import and suppress clients",
    Scope.MAILINGS_READ: "read mailings and their messages",
    Scope.MAILINGS_WRITE: "create drafts and change them; pause, cancel and delete mailings",
    Scope.MAILINGS_SEND: "have messages sent: start, resume, retry, process, test; change what is scheduled or runs",
    Scope.STATS_READ: "read statistics",
    Scope.ADMIN: "read and redrive dead letters; read the audit trail",
}
