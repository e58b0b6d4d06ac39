# SPDX-License-Identifier: MIT
"""The first page of an application: what needs attention, and the attempts of the last day."""

from portal.kit import Site
from portal.test_endpoint_pages import READ_ONLY, assert_inert
from portal.test_site import HOSTILE
from tidings.portal.charts import ChartBar, spark


async def test_an_empty_application_leads_to_its_first_endpoint(site: Site) -> None:
    app = await site.api.app(name="Acme")
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}")

    assert "Add your first endpoint" in page.said
    assert f"/portal/{app}/endpoint/new" in page.links
    page = await (await site.portal(app, capabilities=READ_ONLY)).open(f"/portal/{app}")
    assert "Your access permits reading only" in page.said
    assert f"/portal/{app}/endpoint/new" not in page.links


async def test_what_needs_attention_comes_first_in_words(site: Site) -> None:
    api, app = site.api, await site.api.app()
    good, bad = await api.endpoint(app, description="Good"), await api.endpoint(app, description="Bad")
    msg = await api.message(app)
    for _ in range(3):
        await api.attempt(app, good, msg)
    for _ in range(10):
        await api.attempt(app, bad, msg, status=2, code=503)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}")

    assert "1 endpoint needs attention Bad is failing: the last 10 attempts failed." in page.said
    assert "The receiver responded with status 503." in page.said
    assert "Attempts 13 Succeeded 23.1 % Failed 10" in page.said
    labels = [given["aria-label"] for tag, given in page.tags if tag == "svg" and "aria-label" in given]
    assert "Attempts of the last 24 hours: 3 succeeded and 10 failed" in labels
    assert ["Last 24 hours: 0 succeeded and 10 failed", "Last 24 hours: 3 succeeded and 0 failed"] == labels[-2:]


async def test_an_endpoint_that_the_service_disabled_needs_attention(lite_site: Site) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app, description="Shop")
    async with lite_site.api.db.write() as tx:
        await tx.run("UPDATE endpoint SET disabled = 1, disabled_reason = 'gone' WHERE id = :id", id=endpoint)
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}")

    assert "1 endpoint needs attention Shop is disabled: its receiver responded with 410 Gone." in page.said


async def test_an_application_with_disabled_endpoints_alone_receives_nothing(lite_site: Site) -> None:
    app = await lite_site.api.app()
    await lite_site.api.endpoint(app, disabled=True)
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}")

    assert "The endpoint is disabled, so nothing is received" in page.said


async def test_endpoints_without_failures_need_no_attention(lite_site: Site) -> None:
    app = await lite_site.api.app()
    await lite_site.api.endpoint(app)
    await lite_site.api.endpoint(app, disabled=True)
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}")

    assert "No endpoint needs attention" in page.said
    assert "No attempts in the last 24 hours." in page.said


async def test_the_page_of_many_endpoints_is_small(lite_site: Site) -> None:
    app = await lite_site.api.app()
    for number in range(101):
        await lite_site.api.endpoint(app, url=f"http://example.com/{'x' * 900}/{number}", description=HOSTILE)
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}")

    assert "The first 100 endpoints need no attention" in page.said
    assert len(browser.response.content) < 60_000
    assert_inert(browser)


def test_a_spark_stacks_failures_under_successes() -> None:
    drawn = spark([ChartBar("", 0), ChartBar("", 3, 1), ChartBar("", 0, 8), ChartBar("", 4)], "<a>")

    assert 'd="M6 88V50M14 100V50"' in drawn
    assert 'd="M6 100V88M10 100V0"' in drawn
    assert 'aria-label="&lt;a&gt;"' in drawn
    assert 'class="good" d=""' in spark([], "")
