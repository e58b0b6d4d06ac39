// SPDX-License-Identifier: MIT
// Calls the handler of a script, and reads what it returned. Evaluated before the script, so that no script changes the
// functions used here; the child knows the calls of this one in a stack by its name. It protects no one but the
// script's author: the service trusts nothing of what comes back. It is compiled for each run, so it is short.
((parse, stringify, join, isArray, includes, PromiseType, then, Failure) => {
  let given, canonical, value, error, payload;
  let state = "pending";
  return function tidings$step(step, handler, meta, text) {
    if (step === "call") {
      // A payload that is no JSON object or array is given, and may be returned, as text.
      const webhook = parse(meta);
      given = webhook.payload = text;
      try { payload = parse(text) } catch {}
      if (typeof payload === "object" && payload !== null) {
        webhook.payload = payload;
        canonical = stringify(payload);
      }
      value = handler(webhook);
      if (!(value instanceof PromiseType)) state = "done";
      else then(value, (found) => { value = found; state = "done" }, (found) => { error = found; state = "failed" });
    }
    if (step === "call" || step === "settled") {
      if (state === "failed") throw error;
      return state === "done";
    }
    if (step === "head") {
      if (typeof value !== "object" || value === null || isArray(value)) {
        throw new Failure("handler must return the webhook object");
      }
      const { method, url, headers } = value, cancel = !!value.cancel;
      payload = cancel ? given : value.payload;
      let isUnchanged = payload === given;
      if (typeof payload !== "string") {
        payload = stringify(payload);
        if (typeof payload !== "string") throw new Failure("payload must be a JSON value or a string");
        isUnchanged = payload === canonical || payload === given;
      }
      // Without a prototype, so that no `toJSON` of the script is called for it.
      return join([isUnchanged ? "=" : "~", stringify({ __proto__: null, method, url, headers, cancel })], "");
    }
    if (includes(payload, "\0")) throw new Failure("payload must not contain the character NUL");
    // A long text that the script concatenated is a tree of its parts, which cannot be read from outside.
    return join([payload], "");
  };
})(
  JSON.parse,
  JSON.stringify,
  Function.prototype.call.bind(Array.prototype.join),
  Array.isArray,
  Function.prototype.call.bind(String.prototype.includes),
  Promise,
  Function.prototype.call.bind(Promise.prototype.then),
  TypeError,
)
