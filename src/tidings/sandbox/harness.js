// SPDX-License-Identifier: MIT
// Calls the handler of a script, and reads what it returned. Evaluated before the script, so that no script changes the
// functions used here; the child knows the calls of these in a stack by their names. It protects no one but the
// script's author: the service trusts nothing of what comes back.
((parse, stringify, create, isArray, includes, PromiseType, then, Failure) => {
  let given, canonical, result, payload;
  let outcome;
  const tidings$isObject = (value) => typeof value === "object" && value !== null;

  // A payload that is no JSON object or array is given, and may be returned, as text.
  const tidings$read = (meta, text) => {
    const webhook = parse(meta);
    given = webhook.payload = text;
    try {
      const value = parse(text);
      if (tidings$isObject(value)) webhook.payload = value;
    } catch {}
    canonical = tidings$isObject(webhook.payload) ? stringify(webhook.payload) : undefined;
    return webhook;
  };

  const tidings$call = (handler, meta, text) => {
    const value = handler(tidings$read(meta, text));
    if (!(value instanceof PromiseType)) {
      outcome = { value };
    } else {
      then(value, (found) => { outcome = { value: found }; }, (error) => { outcome = { error }; });
    }
  };

  const tidings$isSettled = () => {
    if (outcome === undefined) return false;
    if ("error" in outcome) throw outcome.error;
    result = outcome.value;
    return true;
  };

  const tidings$head = () => {
    if (!tidings$isObject(result) || isArray(result)) throw new Failure("handler must return the webhook object");
    const found = create(null);
    found.method = result.method;
    found.url = result.url;
    found.headers = result.headers;
    found.cancel = !!result.cancel;
    payload = found.cancel ? given : result.payload;
    return stringify(found);
  };

  // A payload that is as it was given is not returned: its bytes are sent as they are.
  const tidings$isUnchanged = () => {
    if (typeof payload !== "string") {
      payload = stringify(payload);
      if (typeof payload !== "string") throw new Failure("payload must be a JSON value or a string");
      if (payload === canonical) return true;
    }
    return payload === given;
  };

  const tidings$body = () => {
    if (includes(payload, "\0")) throw new Failure("payload must not contain the character NUL");
    return payload;
  };

  return (step, handler, meta, text) => {
    if (step === "call") return tidings$call(handler, meta, text);
    if (step === "settled") return tidings$isSettled();
    if (step === "head") return tidings$head();
    return step === "unchanged" ? tidings$isUnchanged() : tidings$body();
  };
})(
  JSON.parse,
  JSON.stringify,
  Object.create,
  Array.isArray,
  Function.prototype.call.bind(String.prototype.includes),
  Promise,
  Function.prototype.call.bind(Promise.prototype.then),
  TypeError,
)
