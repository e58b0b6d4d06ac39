// SPDX-License-Identifier: MIT
// Every documented call of the generated client with every documented parameter, written as its documentation shows
// it. Takes {"url", "token", "tasks"} as JSON in its argument and prints what it got as JSON.
import {
  BackgroundTasksApi,
  BackgroundTaskStatus,
  BackgroundTaskType,
  createConfiguration,
  Ordering,
  ServerConfiguration,
} from "./index";
import type { ApiException, BackgroundTaskOut, BackgroundTasksApiV1BackgroundTaskListRequest } from "./index";

declare const process: { argv: string[]; stdout: { write(text: string): void } };

async function main(): Promise<void> {
  const given: { url: string; token: string; tasks: string[] } = JSON.parse(process.argv[2]!);
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(given.url, {}),
    authMethods: { HTTPBearer: { tokenProvider: { getToken: () => given.token } } },
  });
  const api = new BackgroundTasksApi(configuration);
  const ids = async (request: BackgroundTasksApiV1BackgroundTaskListRequest) =>
    (await api.v1BackgroundTaskList(request)).data.map((task: BackgroundTaskOut) => task.id);

  const one = await api.v1BackgroundTaskGet({ taskId: given.tasks[0]! });
  const missing = await api.v1BackgroundTaskGet({ taskId: "qtask_" + "1".repeat(27) }).then(
    () => 0,
    // compiled for old browsers, an error is no instance of its class
    (error: ApiException<unknown>) => error.code,
  );
  const found = {
    one: one.id,
    updated: one.updatedAt instanceof Date,
    missing,
    all: await ids({}),
    none: [await ids({ status: BackgroundTaskStatus.Failed }), await ids({ task: BackgroundTaskType.EndpointReplay })],
    ascending: await ids({
      status: BackgroundTaskStatus.Finished,
      task: BackgroundTaskType.EndpointRecover,
      limit: 50,
      order: Ordering.Ascending,
    }),
    pages: [
      await ids({ limit: 2, order: Ordering.Descending }),
      await ids({ limit: 2, order: Ordering.Descending, iterator: given.tasks[1]! }),
    ],
  };
  process.stdout.write(JSON.stringify(found));
}

void main();
