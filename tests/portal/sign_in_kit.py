# SPDX-License-Identifier: MIT
"""A service, its provider and a browser, for the tests of the sign-in."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from api.kit import ORG, Api
from portal.kit import Browser, Page, Site, site_of
from portal.provider import CLIENT, CLIENT_SECRET, Provider
from tidings.ids import OrgId

OTHER: Final = OrgId("org_00000000000000000000000000F")
START: Final = "/console/sign-in/oidc"
CALLBACK: Final = f"{START}/callback"
ALLOWED: Final = (
    "ada@example.com=operator",
    f"group:support={ORG}:read-only",
    f"@example.com={ORG}",
)


@dataclass
class SignIn:
    """A service, its provider and a browser."""

    api: Api
    provider: Provider
    site: Site

    def again(self, **settings: Any) -> Site:
        """Return the service after a restart with other settings."""
        return site_of(self.api, **{**settings_of(self.provider), **settings})

    async def started(self, browser: Browser, target: str = "") -> str:
        """Begin to sign in; return the address at the provider."""
        query = {"next": target} if target else {}
        browser.response = await browser.client.get(START, params=query, follow_redirects=False)
        assert browser.status == 303, browser.text
        return str(browser.response.headers["location"])

    async def came_back(self, browser: Browser, **query: str) -> Page:
        """Come back from the provider."""
        return await browser.open(CALLBACK, **query)

    async def done(self, target: str = "", site: Site | None = None) -> Browser:
        """Sign in as the provider says, and open the page to which the last response leads."""
        browser = (site or self.site).browser()
        location = await self.started(browser, target)
        await self.came_back(browser, code=self.provider.authorize(location), state=query_of(location)["state"])
        if browser.status == 200:
            [refresh] = [given for tag, given in browser.page.tags if given.get("http-equiv") == "refresh"]
            await browser.open(refresh["content"].removeprefix("0;url="))
        return browser


def settings_of(provider: Provider) -> dict[str, Any]:
    return {
        "oidc_issuer": provider.url,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_allowed": ALLOWED,
    }


def query_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def cookies(browser: Browser) -> set[str]:
    return {each.name for each in browser.client.cookies.jar}
