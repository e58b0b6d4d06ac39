
// A message of a Discord webhook: one embed without mentions. All texts of an embed may have 6,000 characters.

const COLORS = { "error": 0xc62828, "warning": 0xe69100, "ok": 0x2e7d32, "info": 0x546e7a };

function handler(webhook) {
  const event = describe(webhook);
  const fields = event.facts.map(([name, value]) => ({
    name: escaped(cut(name, 40)) || "–",
    value: escaped(cut(value, 150)) || "–",
    inline: value.length <= 40,
  }));
  const embed = { title: escaped(cut(event.title, 120)), color: COLORS[event.level], fields };
  if (event.text) {
    embed.description = escaped(cut(event.text, 700));
  }
  webhook.payload = { embeds: [embed], allowed_mentions: { parse: [] } };
  return webhook;
}

// Without Markdown. A plain URL stays as it is, so that it remains a link.
function escaped(text) {
  return /^https?:\/\/[^\s<>()[\]*`|~\\]+$/.test(text) ? text : text.replaceAll(/[\\*_~`|>[\]()#@:-]/g, "\\$&");
}
