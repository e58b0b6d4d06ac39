// SPDX-License-Identifier: MIT
// Every method that the official SDK for JavaScript has for the resources of the service. Takes {"url", "token",
// "receiver"} as JSON on standard input; prints what it called and what it did not.
"use strict";

const assert = require("node:assert/strict");
const { Svix, ApiException } = require("svix");

const RESOURCES = [
  "application", "authentication", "backgroundTask", "connector", "endpoint", "environment", "eventType", "health",
  "integration", "message", "messageAttempt", "statistics",
];
const TYPE = "order.made";
const URL_ = "https://example.com/in";
const SECRET = "whsec_" + "e".repeat(32);
const SCRIPT = "function handler(webhook) { return webhook; }";

const called = new Set();
const listening = (client) =>
  new Proxy(client, {
    get: (target, resource) =>
      new Proxy(target[resource], {
        get: (api, name) => {
          if (typeof api[name] === "function") called.add(`${String(resource)}.${String(name)}`);
          return typeof api[name] === "function" ? api[name].bind(api) : api[name];
        },
      }),
  });

const ids = (page) => page.data.map((each) => each.id);

async function refused(status, promise) {
  await assert.rejects(promise, (error) => error instanceof ApiException && error.code === status);
}

async function until(look, enough) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await look();
    if (enough(found)) return found;
    assert.ok(Date.now() < deadline, JSON.stringify(found));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function tell(receiver, told) {
  const control = new URL("/control", receiver);
  assert.equal((await fetch(control, { method: "PUT", body: JSON.stringify(told) })).status, 200);
}

async function eventTypes(svix) {
  const schemas = { 1: { type: "object", examples: [{ example: 1 }, { example: 2 }] } };
  const made = await svix.eventType.create({ name: TYPE, description: "d", schemas });
  assert.deepEqual([made.name, made.archived], [TYPE, false]);
  await svix.eventType.upsert("user.login", { description: "l" });
  const patched = await svix.eventType.patch(TYPE, { groupName: "order", deprecated: true });
  assert.deepEqual([patched.groupName, patched.deprecated, patched.description], ["order", true, "d"]);
  assert.deepEqual((await svix.eventType.get(TYPE)).schemas, schemas);
  await svix.eventType.delete("user.login", { expunge: true });
  assert.deepEqual((await svix.eventType.list({ withContent: true })).data.map((each) => each.name), [TYPE]);
}

async function imports(svix) {
  const spec = { openapi: "3.1.0", info: { title: "t", version: "1" }, webhooks: { "pet.new": { post: { summary: "A pet." } } } };
  const planned = (await svix.eventType.importOpenapi({ spec, dryRun: true })).data;
  assert.deepEqual([planned.modified, planned.toModify[0].description], [["pet.new"], "A pet."]);
  const done = (await svix.eventType.importOpenapi({ specRaw: JSON.stringify(spec) })).data;
  assert.deepEqual([done.modified, done.toModify ?? null], [["pet.new"], null]);
  assert.deepEqual((await svix.eventType.importOpenapi({ spec })).data.modified, []);
  await refused(400, svix.eventType.importOpenapi({}));
}

async function integrations(svix, app, serverUrl) {
  const made = await svix.integration.create(app, { name: "Zapier", featureFlags: ["beta"] });
  assert.deepEqual([made.name, made.featureFlags], ["Zapier", ["beta"]]);
  assert.deepEqual(await svix.integration.get(app, made.id), made);
  const before = (await svix.integration.rotateKey(app, made.id)).key;
  const { key } = await svix.integration.rotateKey(app, made.id);
  const put = await svix.integration.update(app, made.id, { name: "Make" });
  assert.deepEqual([put.id, put.name, put.featureFlags], [made.id, "Make", undefined]);
  assert.deepEqual(ids(await svix.integration.list(app)), [made.id]);
  const own = (token) => new Svix(token, { serverUrl }).application.get(app);
  assert.equal((await own(key)).id, app);
  await refused(401, own(before));
  await svix.integration.delete(app, made.id);
  await refused(401, own(key));
  await refused(404, svix.integration.get(app, made.id));
}

async function applications(svix) {
  const made = await svix.application.create({ name: "One", uid: "one", metadata: { k: "v" } });
  assert.equal((await svix.application.getOrCreate({ name: "Two", uid: "one" })).id, made.id);
  const put = await svix.application.upsert("one", { name: "Two", uid: "one", throttleRate: 9 });
  assert.deepEqual([put.id, put.name, put.metadata, put.throttleRate], [made.id, "Two", {}, 9]);
  assert.equal((await svix.application.patch(made.id, { throttleRate: null })).throttleRate ?? null, null);
  const other = await svix.application.upsert("unknown", { name: "Other" });
  assert.deepEqual(ids(await svix.application.list({ order: "ascending" })), [made.id, other.id]);
  await svix.application.delete(other.id);
  await refused(404, svix.application.get(other.id));
  return made.id;
}

async function endpoints(svix, app) {
  const made = await svix.endpoint.create(app, { url: URL_, uid: "ep", headers: { "X-Mine": "1" }, secret: SECRET });
  const path = [app, made.id];
  assert.deepEqual(ids(await svix.endpoint.list(app, { limit: 5 })), [made.id]);
  const put = await svix.endpoint.upsert(...path, { url: URL_, uid: "ep", channels: ["b"], eventTypes: [TYPE] });
  assert.deepEqual([put.channels, put.eventTypes], [["b"], [TYPE]]);
  const patched = await svix.endpoint.patch(...path, { description: "d", eventTypes: null });
  assert.deepEqual([patched.eventTypes ?? null, patched.description], [null, "d"]);
  assert.deepEqual((await svix.endpoint.get(app, "ep")).updatedAt, patched.updatedAt);
  assert.equal((await svix.endpoint.getSecret(...path)).key, SECRET);
  await svix.endpoint.rotateSecret(...path, { gracePeriodSeconds: 60 });
  assert.notEqual((await svix.endpoint.getSecret(...path)).key, SECRET);
  await svix.endpoint.patchHeaders(...path, { headers: { "x-new": "2", authorization: "s" }, deleteHeaders: [] });
  const found = await svix.endpoint.getHeaders(...path);
  assert.deepEqual([found.headers, found.sensitive], [{ "X-Mine": "1", "x-new": "2" }, ["authorization"]]);
  await svix.endpoint.setHeaders(...path, { headers: { "x-one": "1" } });
  const scripts = svix.endpoint.transformation;
  await scripts.patch(...path, { code: SCRIPT, enabled: false });
  assert.deepEqual([(await scripts.get(...path)).code, (await scripts.get(...path)).enabled], [SCRIPT, false]);
  await svix.endpoint.transformationPartialUpdate(...path, { code: `${SCRIPT} // 2`, enabled: false });
  assert.equal((await scripts.get(...path)).code, `${SCRIPT} // 2`);
  assert.equal((await svix.endpoint.getStats(...path)).success, 0);
  await svix.endpoint.delete(...path);
  await refused(404, svix.endpoint.get(...path));
}

async function messages(svix, app, receiver) {
  const endpoint = await svix.endpoint.create(app, { url: receiver, uid: "main" });
  await tell(receiver, { secret: (await svix.endpoint.getSecret(app, "main")).key });
  assert.equal((await svix.message.precheck(app, { eventType: TYPE })).active, true);
  const tried = (count) =>
    until(async () => (await svix.messageAttempt.listByEndpoint(app, endpoint.id)).data, (all) => all.length === count);
  const wanted = { eventType: TYPE, eventId: "one", payload: { n: 1 }, channels: ["c"], tags: ["t"] };
  const one = await svix.message.create(app, wanted, { withContent: true });
  assert.deepEqual([one.payload, one.channels, one.tags], [{ n: 1 }, ["c"], ["t"]]);
  await tried(1);
  await tell(receiver, { failing: true });
  const raw = { eventType: TYPE, payload: {}, transformationsParams: { rawPayload: "plain" } };
  const two = await svix.message.create(app, raw);
  await tried(2);
  await tell(receiver, { failing: false });
  assert.deepEqual(await svix.message.get(app, "one", { withContent: true }), one);
  assert.deepEqual((await svix.message.get(app, two.id, { withContent: true })).payload, { raw: "plain" });
  const since = new Date(Date.now() - 60_000);
  for (const [options, expected] of [
    [{ eventTypes: [TYPE, "else"], after: since, before: new Date(Date.now() + 1000) }, [two.id, one.id]],
    [{ channel: "c" }, [one.id]],
    [{ tag: "t" }, [one.id]],
    [{ limit: 1 }, [two.id]],
    [{ limit: 1, iterator: two.id }, [one.id]],
    [{ iterator: `-${one.id}` }, [two.id]],
  ]) {
    assert.deepEqual(ids(await svix.message.list(app, options)), expected, JSON.stringify(options));
  }
  return { endpoint: endpoint.id, one: one.id, two: two.id, tried };
}

async function attempts(svix, app, { endpoint, one, two, tried }) {
  const [newest, oldest] = await tried(2);
  assert.deepEqual([newest.msgId, newest.status, oldest.msgId, oldest.status], [two, 2, one, 0]);
  assert.deepEqual(ids(await svix.messageAttempt.listByEndpoint(app, endpoint, { status: 2, withMsg: true })), [newest.id]);
  assert.deepEqual(ids(await svix.messageAttempt.listByEndpoint(app, endpoint, { status: 4 })), []);
  assert.deepEqual(ids(await svix.messageAttempt.listByMsg(app, "one", { endpointId: "main" })), [oldest.id]);
  assert.equal((await svix.messageAttempt.get(app, two, newest.id)).responseStatusCode, 500);
  for (const [status, expected] of [[undefined, [two, one]], [0, [one]], [2, [two]], [3, []]]) {
    assert.deepEqual(ids(await svix.messageAttempt.listAttemptedMessages(app, "main", { status })), expected);
  }
  const where = await svix.messageAttempt.listAttemptedDestinations(app, two, { limit: 1 });
  assert.deepEqual([ids(where), where.data[0].status], [[endpoint], 2]);
  await svix.messageAttempt.resend(app, two, "main");
  const [again] = await tried(3);
  assert.deepEqual([again.msgId, again.status, again.triggerType], [two, 0, 1]);
  const example = await svix.endpoint.sendExample(app, "main", { eventType: TYPE, exampleIndex: 1 });
  assert.equal((await tried(4))[0].msgId, example.id);
  await svix.messageAttempt.expungeContent(app, one, oldest.id);
  assert.equal((await svix.messageAttempt.get(app, one, oldest.id)).response, "EXPUNGED");
  await svix.message.expungeContent(app, one);
  await refused(400, svix.messageAttempt.resend(app, one, "main"));
  const { results } = await svix.message.bulkExpungeContent(app, { ids: ["one", two, "nope"] });
  assert.deepEqual(results, { one: "expunged", [two]: "expunged", nope: "not-found" });
  assert.deepEqual((await svix.message.get(app, two, { withContent: true })).payload, { expired: true });
}

async function tasks(svix, app) {
  const since = new Date(Date.now() - 3_600_000);
  const until_ = new Date(Date.now() + 3_600_000);
  const ended = async (started) => {
    const task = await until(() => svix.backgroundTask.get(started.id), (found) => found.status !== "running");
    return [task.task, task.status];
  };
  const nothing = { since, eventTypes: ["absent"] };
  for (const [started, name] of [
    [await svix.endpoint.recover(app, "main", { since, until: since }), "endpoint.recover"],
    [await svix.endpoint.replayMissing(app, "main", { since, until: since }), "endpoint.replay"],
    [await svix.endpoint.bulkReplay(app, "main", nothing), "endpoint.bulk-replay"],
    [await svix.statistics.aggregateAppStats({ since, until: until_ }), "application.stats"],
    [await svix.statistics.aggregateEventTypes(), "event-type.aggregate"],
    [await svix.message.expungeAllContents(app), "application.purge_content"],
  ]) {
    assert.deepEqual(await ended(started), [name, "finished"]);
  }
  assert.equal((await svix.backgroundTask.list({ status: "finished" })).data.length, 6);
}

async function connectors(svix) {
  const wanted = { name: "Mine", uid: "mine", kind: "Zapier", transformation: SCRIPT, allowedEventTypes: [TYPE] };
  const made = await svix.connector.create(wanted);
  assert.deepEqual([made.uid, made.kind, made.allowedEventTypes], ["mine", "Zapier", [TYPE]]);
  assert.ok(ids(await svix.connector.list()).includes(made.id));
  assert.deepEqual(await svix.connector.get("mine"), made);
  const patched = await svix.connector.patch("mine", { description: "d", allowedEventTypes: null });
  assert.deepEqual([patched.description, patched.allowedEventTypes ?? null], ["d", null]);
  const put = await svix.connector.upsert("mine", { name: "New", transformation: `${SCRIPT} // 2` });
  assert.deepEqual([put.id, put.name, put.description], [made.id, "New", ""]);
  assert.ok(put.transformationUpdatedAt > made.transformationUpdatedAt);
  await svix.connector.delete("mine");
  await refused(404, svix.connector.get(made.id));
}

async function environment(svix) {
  const eventTypes = [{ name: "environment.imported", description: "d", schemas: { 1: { type: "object" } } }];
  const own = [{ name: "Imported", uid: "imported", transformation: SCRIPT }];
  await svix.environment.import({ eventTypes, connectors: own, settings: { displayName: "Acme" } });
  const found = await svix.environment.export();
  assert.deepEqual([found.settings, found.connectors[0].uid], [{ displayName: "Acme" }, "imported"]);
  const imported = found.eventTypes.find((each) => each.name === "environment.imported");
  assert.deepEqual(imported.schemas, { 1: { type: "object" } });
  await svix.environment.import({ eventTypes: found.eventTypes, connectors: found.connectors });
  assert.deepEqual((await svix.environment.export()).connectors, found.connectors);
}

async function portal(svix, app, serverUrl) {
  const given = await svix.authentication.appPortalAccess(app, { expiry: 3600, sessionId: "user" });
  const own = listening(new Svix(given.token, { serverUrl }));
  assert.equal((await own.application.get(app)).uid, "one");
  await refused(403, own.application.list());
  await svix.authentication.expireAll(app, { sessionIds: ["user"] });
  await refused(401, own.application.get(app));
  const other = await svix.authentication.appPortalAccess(app, {});
  const theirs = listening(new Svix(other.token, { serverUrl }));
  await theirs.authentication.logout();
  await refused(401, theirs.application.get(app));
}

// The methods of operational endpoints are one level deeper than the others, so they count separately.
async function operational(svix, app, receiver) {
  const names = new Set();
  const api = svix.operationalWebhook.endpoint;
  const call = (name, ...given) => names.add(name) && api[name](...given);
  await tell(receiver, { secret: SECRET });
  const before = (await (await fetch(new URL("/report", receiver))).json()).length;
  const made = await call("create", { url: receiver, uid: "ops", secret: SECRET, eventTypes: ["endpoint.created"] });
  assert.deepEqual([made.uid, made.eventTypes], ["ops", ["endpoint.created"]]);
  assert.deepEqual(ids(await call("list")), [made.id]);
  assert.equal((await call("get", "ops")).id, made.id);
  assert.equal((await call("getSecret", made.id)).key, SECRET);
  await svix.endpoint.create(app, { url: URL_ });
  const report = async () => (await (await fetch(new URL("/report", receiver))).json()).slice(before);
  const [[, , isValid, status]] = await until(report, (seen) => seen.length > 0);
  assert.deepEqual([isValid, status], [true, 200]);
  const put = await call("upsert", "ops", { url: receiver, uid: "new", description: "d" });
  assert.deepEqual([put.id, put.uid, put.description, put.eventTypes ?? null], [made.id, "new", "d", null]);
  await call("setHeaders", "new", { headers: { "x-mine": "1" } });
  assert.deepEqual((await call("getHeaders", "new")).headers, { "x-mine": "1" });
  await call("rotateSecret", "new", {});
  assert.notEqual((await call("getSecret", "new")).key, SECRET);
  await call("delete", "new");
  await refused(404, call("get", "new"));
  const every = Object.getOwnPropertyNames(Object.getPrototypeOf(api));
  return every.filter((name) => name !== "constructor" && !names.has(name)).map((name) => `operational.${name}`);
}

async function main() {
  const { url, token, receiver } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const plain = new Svix(token, { serverUrl: url });
  const svix = listening(plain);
  await eventTypes(svix);
  const app = await applications(svix);
  await endpoints(svix, app);
  await attempts(svix, app, await messages(svix, app, receiver));
  await svix.health.get();
  await tasks(svix, app);
  await portal(svix, app, url);
  await integrations(svix, app, url);
  await imports(svix);
  await connectors(svix);
  await environment(svix);
  const leftOperational = await operational(plain, app, receiver);
  const every = RESOURCES.flatMap((resource) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(plain[resource]))
      .filter((name) => name !== "constructor" && typeof plain[resource][name] === "function")
      .map((name) => `${resource}.${name}`),
  );
  const left = [...every.filter((name) => !called.has(name)), ...leftOperational].sort();
  process.stdout.write(JSON.stringify({ called: [...called].sort(), left }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
