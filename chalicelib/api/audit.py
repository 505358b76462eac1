from chalice.app import Request

from chalicelib.api.audit_schemas import AuditEntryResponse, ListAuditQuery
from chalicelib.api.lists import ListResponse, listed, position
from chalicelib.api.resource import Resource
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application

audit = Resource(__name__, tag="audit")


@audit.get("/audit", Scope.ADMIN)
def list_audit(request: Request, query: ListAuditQuery) -> ListResponse[AuditEntryResponse]:
    """List who changed or sent what, by the API and by the pages, newest first; kept for a year."""
    page = application().audit.page(query.to_filter(), position(request, query), query.limit)
    return listed(request, query, page, AuditEntryResponse.of)
