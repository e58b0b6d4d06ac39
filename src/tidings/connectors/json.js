
// A JSON object with the same members for every event: for a program, or for a product that reads JSON.

function handler(webhook) {
  const event = describe(webhook);
  webhook.payload = {
    type: event.type,
    level: event.level,
    title: cut(event.title, 300),
    text: cut(event.text, 2000),
    facts: Object.fromEntries(event.facts.map(([name, value]) => [cut(name, 100), cut(value, 1000)])),
    payload: webhook.payload,
  };
  return webhook;
}
