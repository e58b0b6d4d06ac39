
// An event of the PagerDuty Events API v2. The same endpoint or message always has the same alert, so an event about
// its recovery resolves the alert. The integration key is in the variable ROUTING_KEY of the script, or in the URL.

const SEVERITIES = { "error": "error", "warning": "warning", "ok": "info", "info": "info" };
const RESOLVING = ["endpoint.recovered", "endpoint.enabled", "endpoint.deleted", "message.attempt.recovered"];
const NO_ALERT = ["endpoint.created", "endpoint.updated"];

function handler(webhook) {
  const [, inUrl] = /[?&]routing_key=([0-9A-Za-z]{32})(?:&|$)/.exec(webhook.url) || [];
  const key = (webhook.env && webhook.env.ROUTING_KEY) || inUrl;
  if (!key) {
    throw new Error("Set the URL to https://events.pagerduty.com/v2/enqueue?routing_key= and your integration key.");
  }
  const event = describe(webhook);
  const isFinishedTask = event.type === "background_task.finished" && event.level === "ok";
  if (event.isOperational && (NO_ALERT.includes(event.type) || isFinishedTask)) {
    webhook.cancel = true;
    return webhook;
  }
  webhook.url = webhook.url.replace(/\?.*$/, "");
  webhook.payload = { routing_key: key, event_action: "trigger", ...alertOf(event) };
  if (event.isOperational && RESOLVING.includes(event.type)) {
    webhook.payload.event_action = "resolve";
  }
  return webhook;
}

function alertOf(event) {
  const { data } = event;
  const alert = {
    payload: {
      summary: cut(event.text ? `${event.title}: ${event.text}` : event.title, 1024),
      source: cut(String((event.isOperational && (data.appUid || data.appId)) || "tidings"), 255),
      severity: SEVERITIES[event.level],
      class: cut(event.type, 255),
      custom_details: Object.fromEntries(event.facts.map(([name, value]) => [cut(name, 100), cut(value, 1024)])),
    },
  };
  if (event.isOperational) {
    alert.dedup_key = cut(["tidings", data.taskId, data.endpointId, data.msgId].filter(Boolean).join(":"), 255);
  }
  return alert;
}
