# SPDX-License-Identifier: MIT
"""Call everything that the older Python client documents, with every documented parameter; runs beside a generated one.

Takes `{"url", "token", "tasks"}` as JSON on its standard input and prints the results as JSON.
"""

import json
import sys
from typing import Any

import openapi_client  # type: ignore[import-not-found]


def main() -> None:
    given = json.load(sys.stdin)
    configuration = openapi_client.Configuration(host=given["url"])
    with openapi_client.ApiClient(configuration) as api_client:
        api_client.set_default_header("authorization", f"Bearer {given['token']}")
        json.dump(calls(openapi_client.BackgroundTasksApi(api_client), given["tasks"]), sys.stdout)


def calls(api: Any, tasks: list[str]) -> dict[str, Any]:
    get = api.get_background_task_api_v1_background_task_task_id_get
    page = api.list_background_tasks_api_v1_background_task_get
    ascending, descending = openapi_client.Ordering("ascending"), openapi_client.Ordering("descending")
    try:
        get("qtask_" + "1" * 27)
        missing = 0
    except openapi_client.rest.ApiException as error:
        missing = error.status
    return {
        "one": get(tasks[0], idempotency_key="once").id,
        "missing": missing,
        "all": ids(page()),
        "ascending": ids(page(order=ascending, idempotency_key="once")),
        "pages": [ids(page(limit=2, order=descending)), ids(page(limit=2, order=descending, iterator=tasks[1]))],
    }


def ids(found: Any) -> list[str]:
    return [each.id for each in found.data]


if __name__ == "__main__":
    main()
