# SPDX-License-Identifier: MIT
"""The forms that add and edit an endpoint. The values have the rules of the API."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidings import ids
from tidings.core import endpoints
from tidings.core.filter_previews import PreviewedMessage
from tidings.core.idempotency import Response
from tidings.errors import AppError, Fault, conflict
from tidings.ids import EndpointId
from tidings.model import text
from tidings.model.endpoint import RATE_MAX, Endpoint, EndpointDraft
from tidings.model.endpoint_rules import channel_faults, https_faults, key_of, secret_faults, type_faults, url_faults
from tidings.model.faults import metadata_faults, text_faults, unique
from tidings.model.token import Capability
from tidings.model.url import normalize_url
from tidings.portal import event_type_picker, filter_form
from tidings.portal.faults import explained
from tidings.portal.filter_form import FilterRow
from tidings.portal.request import Form, PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import forms_of_application

_FORM_BYTES: Final = 512 * 1024
"""Enough for 500 event types, with the longest names."""
_RATE: Final = f"Write a whole number from 1 to {RATE_MAX:,}, or leave it empty for no limit."
_METADATA: Final = 'Write a JSON object whose values are texts, such as {"plan": "business"}.'
_CHANGED: Final = "changed_meanwhile"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFields:
    """The values of the form as texts, as the user typed them."""

    url: str = ""
    description: str = ""
    uid: str = ""
    channels: str = ""
    rate: str = ""
    metadata: str = ""
    secret: str = ""
    is_all: bool = True
    """Whether the endpoint receives all event types."""
    types: tuple[str, ...] = ()
    conditions: tuple[FilterRow, ...] = ()
    """The conditions of the payload filter."""
    seen: str = ""
    """When the endpoint that the form shows was last changed."""

    @classmethod
    def given(cls, form: Form) -> "EndpointFields":
        """Return the values of a sent form."""
        texts = {name: form[name] for name in ("url", "uid", "channels", "rate", "metadata", "secret", "seen")}
        return cls(
            **texts,
            description=form["description"].replace("\r\n", "\n"),
            is_all=form["subscribe"] != "some",
            types=tuple(dict.fromkeys(form.all("types"))),
            conditions=filter_form.rows_given(form),
        )

    @classmethod
    def of(cls, endpoint: Endpoint) -> "EndpointFields":
        """Return the values of an endpoint."""
        return cls(
            url=endpoint.url,
            description=endpoint.description,
            uid=endpoint.uid or "",
            channels=" ".join(endpoint.channels or ()),
            rate="" if endpoint.throttle_rate is None else str(endpoint.throttle_rate),
            metadata=json.dumps(dict(endpoint.metadata), ensure_ascii=False, indent=2) if endpoint.metadata else "",
            is_all=endpoint.event_types is None,
            types=endpoint.event_types or (),
            conditions=filter_form.rows_of(endpoint.filter),
            seen=str(endpoint.updated_at),
        )

    def faults(self, *, https_only: bool) -> list[Fault]:
        """Return a fault for each value that breaks a rule."""
        found = [*url_faults(self.url)]
        if not found and https_only:
            found += https_faults(normalize_url(self.url))
        found += text_faults("description", self.description)
        found += text.uid_faults("uid", self.uid or None, ids.ENDPOINT)
        found += channel_faults(self.channel_list)
        found += [] if self.is_all else type_faults(list(self.types))
        found += filter_form.faults(self.conditions)
        found += secret_faults("secret", self.secret or None)
        if self.rate and self.rate_number is None:
            found.append(Fault(("body", "rate"), _RATE))
        metadata = self.metadata_map
        found += [Fault(("body", "metadata"), _METADATA)] if metadata is None else metadata_faults(metadata)
        return found

    @property
    def channel_list(self) -> list[str] | None:
        """The channels; None if there are none."""
        return self.channels.replace(",", " ").split() or None

    @property
    def rate_number(self) -> int | None:
        """The rate limit; None if there is none, or if the text is not one."""
        is_number = self.rate.isascii() and self.rate.isdigit() and len(self.rate) <= len(str(RATE_MAX))
        return int(self.rate) if is_number and 1 <= int(self.rate) <= RATE_MAX else None

    @property
    def metadata_map(self) -> dict[str, str] | None:
        """The metadata; None if the text is not an object of texts."""
        try:
            found = json.loads(self.metadata or "{}")
        except (ValueError, RecursionError):
            return None
        is_map = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
        return found if is_map and _is_storable(found) else None

    def drafted(self) -> EndpointDraft:
        """Return the endpoint that the form describes; the form has no faults."""
        return EndpointDraft(
            url=normalize_url(self.url),
            description=self.description,
            uid=self.uid or None,
            version=1,
            disabled=False,
            event_types=None if self.is_all else self.types,
            channels=unique(self.channel_list),
            throttle_rate=self.rate_number,
            metadata=self.metadata_map or {},
            headers={},
            secret=key_of(self.secret or None),
            filter=filter_form.built(self.conditions),
        )

    def applied(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint with the values; raise `conflict` if it was changed after the form was opened."""
        if self.seen != str(endpoint.updated_at):
            raise conflict("The endpoint was changed since this page was opened.", code=_CHANGED)
        draft = replace(self.drafted(), version=endpoint.version, disabled=endpoint.disabled)
        # The form cannot show a filter that a later release wrote, so a form without one does not remove it.
        is_hidden = endpoint.filter is not None and not endpoint.filter.is_readable and not self.conditions
        return endpoint.overwritten(replace(draft, keeps_filter=is_hidden))


def _is_storable(metadata: dict[str, str]) -> bool:
    """Return whether both databases store these texts."""
    try:
        texts = "".join((*metadata, *metadata.values()))
        texts.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in texts


async def adding(page: PageRequest) -> Answer:
    """Show the form that adds an endpoint."""
    fields = EndpointFields(is_all=not page.query["type"], types=tuple(page.query.all("type"))[:1])
    return await _form(page, fields)


def _is_unfinished(form: Form) -> bool:
    """Return whether a sent form is to be shown again: to search event types, add a condition, or see a preview."""
    return any(form.has(each) for each in ("find", "more", "preview"))


async def add(page: PageRequest) -> Answer:
    """Add an endpoint, or show the form again with what a button asks for."""
    fields = EndpointFields.given(page.form)
    is_unfinished = _is_unfinished(page.form)
    faults = [] if is_unfinished else fields.faults(https_only=page.context.https_only)
    if is_unfinished or faults:
        return await _form(page, fields, faults)
    try:
        made = await endpoints.create(
            page.services,
            page.app,
            fields.drafted(),
            idempotency_key=page.idempotency_key(),
            render=lambda endpoint: Response(201, json.dumps(endpoint.id).encode()),
        )
    except AppError as error:
        return await _form(page, fields, _placed(error))
    return page.redirect("endpoint", EndpointId(json.loads(made.body)), done="endpoint_added")


async def editing(page: PageRequest) -> Answer:
    """Show the form that edits an endpoint."""
    endpoint = await endpoints.get(page.services, page.app, page.path["endpoint_id"])
    return await _form(page, EndpointFields.of(endpoint), endpoint=endpoint)


async def edit(page: PageRequest) -> Answer:
    """Edit an endpoint, or show the form again with what a button asks for."""
    endpoint = await endpoints.get(page.services, page.app, page.path["endpoint_id"])
    fields = EndpointFields.given(page.form)
    is_unfinished = _is_unfinished(page.form)
    faults = [] if is_unfinished else fields.faults(https_only=page.context.https_only)
    if is_unfinished or faults:
        return await _form(page, fields, faults, endpoint=endpoint)
    added = () if fields.is_all else tuple(name for name in fields.types if name not in (endpoint.event_types or ()))
    try:
        await endpoints.change(
            page.services,
            page.app,
            endpoint.id,
            endpoints.EndpointEdit(fields.applied, added),
            render=lambda _endpoint: Response(204),
        )
    except AppError as error:
        if error.code == _CHANGED:
            fields = replace(fields, seen=str(endpoint.updated_at))
            detail = f"{error.detail} Check the values and save them again."
            return await _form(page, fields, [Fault(("body", "form"), detail)], endpoint=endpoint)
        return await _form(page, fields, _placed(error), endpoint=endpoint)
    return page.redirect("endpoint", endpoint.id, done="saved")


def _placed(error: AppError) -> list[Fault]:
    """Return the faults of an error: a conflict is about the uid, and every other one about the form."""
    return explained(error, "uid" if error.code == "conflict" else "form")


async def _form(
    page: PageRequest, fields: EndpointFields, faults: Sequence[Fault] = (), endpoint: Endpoint | None = None
) -> Answer:
    picker = await event_type_picker.read(page, fields.types, page.form["find_text"])
    values: dict[str, Any] = {"endpoint": endpoint, "fields": fields, "picker": picker, "preview": None}
    values |= {"has_more": page.form.has("more"), "operators": filter_form.OPERATORS}
    if page.form.has("preview"):
        faults = _preview_faults(fields)
        values["preview"] = None if faults else await _previewed(page, fields)
    if faults:
        return page.invalid("endpoint_form.html", faults, **values)
    return page.page("endpoint_form.html", **values)


def _preview_faults(fields: EndpointFields) -> list[Fault]:
    found = [*filter_form.faults(fields.conditions), *channel_faults(fields.channel_list)]
    return found if fields.is_all else [*found, *type_faults(list(fields.types))]


async def _previewed(page: PageRequest, fields: EndpointFields) -> list[PreviewedMessage]:
    types = None if fields.is_all else fields.types
    return await filter_form.preview(page, fields.conditions, types, unique(fields.channel_list))


VIEWS: Final = forms_of_application(
    Capability.MANAGE_ENDPOINT,
    _FORM_BYTES,
    {"/endpoint/new": (adding, add), "/endpoint/{endpoint_id}/edit": (editing, edit)},
)
