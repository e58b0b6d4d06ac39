
// A message of a Slack incoming webhook: a line, and an attachment with a color and up to ten fields.

const COLORS = { "error": "#c62828", "warning": "#e69100", "ok": "#2e7d32", "info": "#546e7a" };

function handler(webhook) {
  const event = describe(webhook);
  const title = escaped(cut(event.title, 150));
  const blocks = [];
  if (event.text) {
    blocks.push({ type: "section", text: { type: "mrkdwn", text: escaped(cut(event.text, 500)) } });
  }
  if (event.facts.length) {
    const fields = event.facts.map(([name, value]) => `*${escaped(cut(name, 60))}*\n${escaped(cut(value, 300)) || "–"}`);
    blocks.push({ type: "section", fields: fields.map((text) => ({ type: "mrkdwn", text })) });
  }
  webhook.payload = { text: event.isOperational ? `*${title}*` : title };
  if (blocks.length) {
    webhook.payload.attachments = [{ color: COLORS[event.level], fallback: title, blocks }];
  }
  return webhook;
}

// Slack reads these three characters as the start of links, mentions and entities.
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
