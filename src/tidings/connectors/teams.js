
// A message of a Teams workflow: an adaptive card. Runs of text are shown as they are, without Markdown.

const STYLES = { "error": "attention", "warning": "warning", "ok": "good", "info": "emphasis" };

function handler(webhook) {
  const event = describe(webhook);
  const body = [
    { type: "Container", style: STYLES[event.level], bleed: true, items: [line([bold(cut(event.title, 150), "medium")])] },
  ];
  if (event.text) {
    body.push(line([run(cut(event.text, 700))]));
  }
  event.facts.forEach(([name, value]) => body.push(line([bold(`${cut(name, 60)}: `), run(cut(value, 300) || "–")], "small")));
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    fallbackText: cut(event.title, 150),
    msteams: { width: "Full" },
    body,
  };
  webhook.payload = {
    type: "message",
    attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content }],
  };
  return webhook;
}

function line(inlines, spacing = "medium") {
  return { type: "RichTextBlock", spacing, inlines };
}

function run(text) {
  return { type: "TextRun", text };
}

function bold(text, size = "default") {
  return { type: "TextRun", text, weight: "bolder", size };
}
