# SPDX-License-Identifier: MIT
"""The import of event types in the console: the table of changes is what the import then does."""

import json

import pytest

from api.kit import ORG, Api, Json
from portal.kit import Site

PAGE = f"/console/{ORG}/import-event-types"
YAML = """
openapi: 3.1.0
info: {title: t, version: '1'}
webhooks:
  pet.new:
    post:
      description: A <new> pet.
      requestBody: {content: {application/json: {schema: {type: object}}}}
  pet.same: {}
"""


async def _active(api: Api) -> list[str]:
    listed = await api.read("/event-type")
    return [each["name"] for each in listed["data"]]


async def test_a_document_is_checked_and_then_imported(site: Site) -> None:
    api = site.api
    app = await api.app()
    for name in ("pet.same", "old", "used"):
        await api.made("/event-type", {"name": name, "description": ""})
    await api.endpoint(app, eventTypes=["used"])
    browser = await site.console()
    await browser.open(PAGE)

    await browser.submit("/import-event-types", document=YAML, replaces="yes")

    said = browser.page.said
    assert "1 new, 0 changed, 2 archived" in said
    assert "1 unchanged" in said
    assert "A <new> pet." in said
    assert "Endpoints subscribe to it" in said
    assert ["old", "pet.same", "used"] == await _active(api), "nothing has changed yet"
    await browser.submit("/import-event-types/run")
    assert "The event types of the document are imported." in browser.page.said
    assert ["pet.new", "pet.same"] == await _active(api)
    stored = await api.read("/event-type/pet.new")
    assert ("A <new> pet.", {"1": {"type": "object"}}) == (stored["description"], stored["schemas"])

    await browser.open(PAGE)
    await browser.submit("/import-event-types", document=YAML, replaces="yes")
    assert "Nothing to change" in browser.page.said
    assert [] == [form for form in browser.page.forms if form.action.endswith("/run")]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "the text is empty"),
        ("a: [", "not YAML or JSON: line"),
        ("openapi: 3.1.0", "The document has no webhooks"),
        ("openapi: 3.1.0\nwebhooks: {'not a name': {}}", "webhooks / not a name"),
        ("openapi: 3.1.0\nwebhooks: {" + ", ".join(f"t{n}: {{}}" for n in range(5_001)) + "}", "takes at most 5,000"),
    ],
)
async def test_a_bad_document_is_shown_again_with_its_faults(site: Site, document: str, words: str) -> None:
    browser = await site.console()
    await browser.open(PAGE)

    await browser.submit("/import-event-types", document=document)

    assert 422 == browser.status
    assert words in browser.page.said
    assert "Nothing has changed." in browser.page.said
    assert [] == await _active(site.api)


async def test_a_read_only_key_checks_a_document_and_imports_none(site: Site) -> None:
    browser = await site.console((await site.api.key(read_only=True)).text)
    await browser.open(PAGE)
    await browser.submit("/import-event-types", document=YAML)
    assert "2 new" in browser.page.said

    form: Json = {"document": YAML, "csrf": "x", "once": "y"}
    await browser.post(f"{PAGE}/run", **form)

    assert 403 == browser.status
    assert [] == await _active(site.api)


async def test_a_document_of_a_megabyte_fits_into_the_form(site: Site) -> None:
    large = {"openapi": "3.1.0", "webhooks": {"a": {"post": {"x-padding": "x" * 1_000_000}}}}
    browser = await site.console()
    await browser.open(PAGE)

    await browser.submit("/import-event-types", document=json.dumps(large))
    await browser.submit("/import-event-types/run")

    assert ["a"] == await _active(site.api)
