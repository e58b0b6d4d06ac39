# SPDX-License-Identifier: MIT
"""The versions of subjects, on both databases: each change gives another one, and nothing else does."""

import pytest

from api.conftest import api as api  # noqa: PLC0414 - a fixture
from api.kit import ORG, Api
from tidings.core import changes
from tidings.core.changes import Subject, SubjectKind

SINCE = {"since": "2023-11-01T00:00:00Z"}


async def test_every_change_of_an_application_gives_another_version(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    subject = Subject(SubjectKind.APPLICATION, app)
    seen = []

    async def note() -> None:
        seen.append((await changes.versions(api.db, [subject]))[subject])

    await note()
    message = await api.message(app)
    await note()
    await api.attempt(app, endpoint, message)
    await note()
    await api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json={"disabled": True})
    await note()
    await api.call("DELETE", f"/app/{app}/endpoint/{endpoint}")
    await note()

    assert len(seen) == len(set(seen))
    await note()
    assert seen[-1] == seen[-2]


async def test_a_change_of_another_application_does_not_count(api: Api) -> None:
    app, other = await api.app(), await api.app()
    subject = Subject(SubjectKind.APPLICATION, app)
    before = await changes.versions(api.db, [subject])

    await api.attempt(other, await api.endpoint(other), await api.message(other))

    assert before == await changes.versions(api.db, [subject])


@pytest.mark.parametrize("kind", [SubjectKind.TASKS_OF_APPLICATION, SubjectKind.TASKS_OF_ORGANIZATION])
async def test_a_list_of_tasks_changes_with_each_task(api: Api, kind: SubjectKind) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    subject = Subject(kind, app if kind is SubjectKind.TASKS_OF_APPLICATION else ORG)
    seen = [(await changes.versions(api.db, [subject]))[subject]]

    task = await _start(api, app, endpoint)
    for command in (None, "pause", "resume", "cancel"):
        if command is not None:
            await _command(api, task, command)
        seen.append((await changes.versions(api.db, [subject]))[subject])

    assert len(seen) == len(set(seen))


async def test_a_task_changes_with_its_state_and_another_one_does_not(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    task, other = [Subject(SubjectKind.TASK, await _start(api, app, endpoint)) for _ in range(2)]
    before = await changes.versions(api.db, [task, other])

    await _command(api, task.id, "pause")

    after = await changes.versions(api.db, [task, other])
    assert (True, True) == (before[task] != after[task], before[other] == after[other])


async def test_what_does_not_exist_has_no_version(api: Api) -> None:
    subjects = [Subject(SubjectKind.TASK, "qtask_none"), Subject(SubjectKind.APPLICATION, "app_none")]

    assert {} == await changes.versions(api.db, subjects)


async def _start(api: Api, app: str, endpoint: str) -> str:
    return str((await api.made(f"/app/{app}/endpoint/{endpoint}/recover", SINCE))["id"])


async def _command(api: Api, task: str, command: str) -> None:
    api.clock.advance(4)
    response = await api.post(f"/background-task/{task}/{command}")
    assert response.status_code == 200, response.text
