# SPDX-License-Identifier: MIT
"""The sign-in of people to the console, made from the settings."""

from tidings import terms, values
from tidings.clock import SECOND, Clock
from tidings.core.oidc import OidcProvider, OidcTerms
from tidings.delivery.address import AddressPolicy
from tidings.delivery.fetch import Fetcher
from tidings.portal.people import People, TrustedProxy
from tidings.settings import Settings
from tidings.sign_in_rules import rules_of


def people(settings: Settings) -> People:
    """Return the rules for people; a session ends when one of the settings changes that admitted it."""
    rules = rules_of(settings.oidc_allowed)
    depends_on = (settings.oidc_issuer or "", settings.oidc_client_id or "", settings.oidc_groups_claim)
    return People(
        rules=rules,
        terms=rules.fingerprint(*depends_on),
        session_ms=(values.seconds(settings.oidc_session) or 0) * SECOND,
    )


def provider(settings: Settings, clock: Clock) -> OidcProvider | None:
    """Return the provider at which people sign in; None without one."""
    if not settings.oidc_issuer:
        return None
    registration = OidcTerms(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id or "",
        client_secret=settings.oidc_client_secret or "",
        scopes=settings.oidc_scopes,
        groups_claim=settings.oidc_groups_claim,
    )
    fetch = Fetcher(
        trusted_url=settings.oidc_issuer,
        policy=AddressPolicy(settings.whitelist_subnets),
        proxy=terms.proxy(settings),
    )
    return OidcProvider(registration, fetch, clock)


def trusted_proxy(settings: Settings, admitted: People) -> TrustedProxy | None:
    """Return the proxy that signs people in; None without one."""
    if not settings.console_trusted_proxies or not settings.console_user_header:
        return None
    groups = settings.console_groups_header
    return TrustedProxy(
        settings.console_trusted_proxies,
        settings.console_user_header.lower().encode(),
        None if groups is None else groups.lower().encode(),
        admitted,
    )
