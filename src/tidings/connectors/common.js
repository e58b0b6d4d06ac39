// What a person reads about an event: `describe` returns a title, a text, a level and facts. Any event has them; the
// operational events of tidings get sentences. You may change all of it.

const LEVELS = { "error": "error", "warning": "warning", "ok": "ok", "info": "info" };

const OPERATIONAL = {
  "endpoint.failing": (data) => [LEVELS.error, `Endpoint ${nameOf(data)} is failing`,
    "Its last requests failed in a row. Messages are retried."],
  "endpoint.recovered": (data) => [LEVELS.ok, `Endpoint ${nameOf(data)} has recovered`, "It accepts messages again."],
  "endpoint.disabling": (data) => [LEVELS.warning, `Endpoint ${nameOf(data)} will be disabled`,
    `${isFinite(data.percent) ? `${data.percent} % of the time has passed. ` : ""}`
    + `Repair it${data.disablesAt ? ` before ${readable(data.disablesAt)}` : ""} to keep it enabled.`],
  "endpoint.disabled": (data) => data.trigger === "manual"
    ? [LEVELS.warning, `Endpoint ${nameOf(data)} was disabled`, "A request disabled it. It receives nothing until it is enabled."]
    : [LEVELS.error, `Endpoint ${nameOf(data)} was disabled`,
      `${data.failSince ? `It has failed since ${readable(data.failSince)}.` : "It failed too long."}`
      + " It receives nothing until it is enabled; recover it afterwards."],
  "endpoint.enabled": (data) => [LEVELS.ok, `Endpoint ${nameOf(data)} was enabled`, "It receives messages again."],
  "endpoint.created": (data) => [LEVELS.info, `Endpoint ${nameOf(data)} was created`, ""],
  "endpoint.updated": (data) => [LEVELS.info, `Endpoint ${nameOf(data)} was changed`, ""],
  "endpoint.deleted": (data) => [LEVELS.info, `Endpoint ${nameOf(data)} was deleted`, ""],
  "message.attempt.failing": (data) => [LEVELS.warning, "A message keeps failing",
    `Endpoint ${nameOf(data)} ${answerOf(data)}. More attempts follow.`],
  "message.attempt.exhausted": (data) => [LEVELS.error, "A message could not be delivered",
    `The last attempt failed: endpoint ${nameOf(data)} ${answerOf(data)}. Resend it, or recover the endpoint.`],
  "message.attempt.recovered": (data) => [LEVELS.ok, "A message was delivered after failures",
    `Endpoint ${nameOf(data)} has accepted it.`],
  "background_task.finished": (data) => data.status === "failed"
    ? [LEVELS.error, `Background task ${data.task} has failed`, ""]
    : [LEVELS.ok, `Background task ${data.task} has finished`, ""],
};

function describe(webhook) {
  const payload = webhook.payload;
  const type = String(webhook.eventType || (isObject(payload) && payload.type) || "event");
  const data = isObject(payload) && isObject(payload.data) ? payload.data : payload;
  const isOperational = Object.hasOwn(OPERATIONAL, type) && isObject(data) && payload.type === type
    && [data.endpointId, data.taskId].some((id) => typeof id === "string");
  const [level, title, text] = isOperational ? OPERATIONAL[type](data) : [LEVELS.info, type, textOf(data)];
  return { type, level, title, text, data, isOperational, facts: factsOf(data, isOperational) };
}

function nameOf(data) {
  return String(data.endpointUid || data.endpointId);
}

function answerOf(data) {
  const code = isObject(data.lastAttempt) ? data.lastAttempt.responseStatusCode : 0;
  return code ? `responded with ${code}` : "did not respond";
}

function textOf(data) {
  const found = isObject(data) ? ["message", "summary", "description", "text"].map((name) => data[name]) : [data];
  return found.find((value) => typeof value === "string") || "";
}

// Pairs of a name and a value, from the innermost members; at most ten.
function factsOf(data, isOperational) {
  const found = [];
  const visit = (name, value, depth) => {
    if (found.length >= 10) {
      return;
    }
    if (isObject(value) && depth < 4) {
      Object.keys(value).forEach((key) => visit(name ? `${name}.${key}` : key, value[key], depth + 1));
    } else if (name && !(isOperational && (value === null || value === ""))) {
      found.push([isOperational ? wordsOf(name) : name, shown(value)]);
    }
  };
  visit("", data, 0);
  return found;
}

function shown(value) {
  if (Array.isArray(value)) {
    const isShort = value.length <= 5 && !value.some((item) => item !== null && typeof item === "object");
    return isShort ? value.map(shown).join(", ") : `${value.length} ${value.length === 1 ? "item" : "items"}`;
  }
  if (value === null || value === undefined) {
    return "none";
  }
  return isObject(value) ? "an object" : readable(String(value));
}

function readable(text) {
  const time = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(\.\d+)?Z$/.exec(text);
  return time ? `${time[1]} ${time[2]} UTC` : String(text);
}

// `lastAttempt.responseStatusCode` becomes `Last attempt: response status code`.
function wordsOf(name) {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replaceAll(".", ": ");
  return words[0].toUpperCase() + words.slice(1);
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

// At most `max` UTF-16 units, without half a character at the end.
function cut(text, max) {
  return text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
