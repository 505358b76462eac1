from chalicelib.bootstrap import Application
from tests.admin import inputs, look, post, visiting
from tests.gateway import Gateway


def test_smoke(api: Gateway, built: Application) -> None:
    me = visiting(built)
    page = look(api, "/admin/mailings/new", me)
    assert page.status == 200, page.text
    fields = inputs(page, "mailings/new")
    print(fields)
    answer = post(api, "/admin/mailings/new", fields | {"text": "Hi\r\nyou", "do": "draft"}, me)
    assert answer.status == 303, answer.text
    print(answer.headers)
    page = look(api, "/admin/mailings", me)
    assert page.status == 200, page.text
    (one,) = built.manage_mailings.page(None, None, 10).items
    page = look(api, f"/admin/mailings/{one.id}?notice=saved", me)
    assert page.status == 200, page.text
    for a in ("start", "cancel", "delete", "test", "edit", "duplicate", "chart.svg"):
        page = look(api, f"/admin/mailings/{one.id}/{a}", me)
        assert page.status == 200, (a, page.text)
