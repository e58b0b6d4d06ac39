// SPDX-License-Identifier: MIT
// Conveniences: every page works without them, except the exchange of a portal link and live updates.
(() => {
  "use strict";

  // A portal link carries its token after "#", which is not sent to the server: send it as a form, and clear the address.
  const signIn = document.querySelector("form[data-portal-sign-in]");
  if (signIn) {
    const values = new URLSearchParams(location.hash.slice(1));
    const key = values.get("key");
    if (key) {
      history.replaceState(null, "", location.pathname);
      for (const [name, value] of values) {
        const field = signIn.elements.namedItem(name);
        if (field) field.value = value;
      }
      signIn.submit();
    }
  }

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const source = document.getElementById(copy.dataset.copy);
      navigator.clipboard?.writeText(source ? source.textContent : "").then(() => {
        const before = copy.textContent;
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = before; }, 1500);
      });
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  // A form with data-confirm asks before it is sent.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset?.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  // A field with data-into reads the chosen file into a text area, which the form sends.
  for (const field of document.querySelectorAll("input[type=file][data-into]")) {
    field.closest("label").hidden = false;
    field.addEventListener("change", async () => {
      const file = field.files[0];
      if (file) document.getElementById(field.dataset.into).value = await file.text();
    });
  }

  // A filter form is sent when one of its lists changes.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
  });

  // Live parts connect while the tab is shown, because a browser opens only six connections to a server over HTTP/1.1.
  // A part that is connected ignores the event; the extension of htmx disconnects a tab that becomes hidden.
  const connect = () => {
    if (document.hidden || !window.htmx) return;
    for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "shown");
  };
  document.addEventListener("DOMContentLoaded", () => setTimeout(connect));
  document.addEventListener("visibilitychange", connect);
  // Enter in a field with data-enter presses the button that it names, instead of the first one of the form.
  document.addEventListener("keydown", (event) => {
    const button = event.key === "Enter" && event.target.dataset?.enter;
    if (button) {
      event.preventDefault();
      document.getElementById(button)?.click();
    }
  });

  // data-chooses names the radio button that fields inside the element belong to.
  document.addEventListener("input", (event) => {
    const choice = document.getElementById(event.target.closest("[data-chooses]")?.dataset.chooses ?? "");
    if (choice) choice.checked = true;
  });

  // Relative times follow the clock, in the words of the server.
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = Math.round((Date.now() - Date.parse(time.dateTime)) / 1000);
      if (seconds < 5) continue;
      const [size, unit] = units.find(([each]) => seconds >= each);
      time.textContent = `${Math.floor(seconds / size)} ${unit} ago`;
    }
  }, 5000);

  // data-narrow filters the elements of a list by their text, as the user types.
  document.addEventListener("input", (event) => {
    const list = event.target.dataset?.narrow && document.getElementById(event.target.dataset.narrow);
    if (!list) return;
    const wanted = event.target.value.toLowerCase();
    for (const each of list.children) each.hidden = !each.textContent.toLowerCase().includes(wanted);
  });
})();
