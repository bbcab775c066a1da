// What a person has typed is not lost with the session, in whichever way it went: by time, by "Log out everywhere", by a
// cookie that was cleared. Two nets, because neither is whole:
//
//   before a form is sent    the server is asked whether somebody is logged in; if not, the page stays as it is (live.js)
//   where it was sent in vain the text is kept in this tab until its page is opened again by the same person
//
// What answered instead of the form says so by `data-unsent`: the login page, a refusal. A page for nobody says it at
// this script, which runs there before the page can be used. Never kept: passwords, files, the token of the session,
// and ticks that confirm something, which a person makes anew. The revision that was seen is kept, so that a change by
// somebody else meanwhile is still noticed.
"use strict";
(() => {
  const KEY = "typed", ASKING_MAX_MS = 3000;
  const POSTED = "main form[method=post]:not([data-unsent], #login-form)";
  const TEXT = ":is(textarea, select, input:not([type=hidden], [type=checkbox], [type=radio], [type=password], [type=file]))";
  const { now, standing, unsent } = document.currentScript.dataset;
  const isUnsent = () => unsent !== undefined || document.querySelector("[data-unsent], #login-form");
  const forms = () => [...document.querySelectorAll(POSTED)].filter((form) => form.querySelector(TEXT));
  const writer = () => document.querySelector(".who, #user-tools strong")?.textContent.trim() ?? "";

  const isKept = ({ name, type, required }) => name && name !== "csrfmiddlewaretoken"
    && !["password", "file", "submit", "button"].includes(type) && !(type === "checkbox" && required);
  // Two forms of one address are told apart by the account that they are about.
  const nameOf = (form) => `${form.getAttribute("action") ?? ""} ${form.querySelector("[type=hidden][name=account]")?.value ?? ""}`;

  // Browsers may forbid a page to keep anything; the first net holds then.
  const stored = () => { try { return JSON.parse(sessionStorage.getItem(KEY)); } catch { return null; } };
  const store = (kept) => { try { sessionStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* See above. */ } };
  const forget = () => { try { sessionStorage.removeItem(KEY); } catch { /* See above. */ } };

  function keep() {
    const written = forms().map((form) => [
      nameOf(form),
      [...form.elements].filter(isKept).map(({ name, type, value, checked }) => ({ name, type, value, checked })),
    ]);
    store({ path: location.pathname, writer: writer(), written, unsent: false });
  }

  function bringBack(form, fields) {
    const left = [...form.elements].filter(isKept);
    for (const { name, type, value, checked } of fields) {
      const place = left.findIndex((field) => field.name === name && field.type === type
        && (type !== "radio" || field.value === value));
      if (place < 0) { continue; }
      const [field] = left.splice(place, 1);
      if (type === "checkbox" || type === "radio") {
        field.checked = checked;
        if (checked) { field.closest("details")?.setAttribute("open", ""); }  // Nothing is ticked unseen.
      } else { field.value = value; }
    }
    const told = Object.assign(document.createElement("p"), { className: "notice", textContent:
      "Nothing was sent: what you had typed here is back. Look at it, and send it again." });
    told.setAttribute("role", "status");
    form.prepend(told);
    form.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function lookBack() {
    const kept = stored();
    if (!kept) { return; }
    if (isUnsent()) { store({ ...kept, unsent: true }); return; }
    if (kept.unsent && kept.writer === writer() && kept.path !== location.pathname) { return; }
    forget();
    if (!kept.unsent || kept.writer !== writer()) { return; }
    for (const [name, fields] of kept.written) {
      const form = forms().find((one) => nameOf(one) === name);
      if (form) { bringBack(form, fields); }
    }
  }

  // Returns why the form cannot be sent now; "" where it can, or where only sending it will tell.
  async function whyNot() {
    try {
      const response = await fetch(`${now}?standing=${standing}&view=plain`, {
        cache: "no-store",
        headers: { Accept: "text/event-stream" },  // By this the server knows that no person did anything.
        signal: AbortSignal.timeout(ASKING_MAX_MS),
      });
      if (response.status === 401) { return "session"; }
      const data = response.ok ? (await response.text()).split("\n").find((line) => line.startsWith("data: ")) : "";
      const { why, csrf } = JSON.parse(data?.slice("data: ".length) || "{}");
      // Who logged in again in another window has another token.
      if (csrf) { for (const field of document.getElementsByName("csrfmiddlewaretoken")) { field.value = csrf; } }
      return why === "session" ? why : "";
    } catch (error) {
      return error instanceof TypeError ? "unreached" : "";  // Fetch's way to say that no server was there.
    }
  }

  let asking = false, passed = false;
  document.addEventListener("submit", async (event) => {
    const form = event.target, { submitter } = event;
    if (passed || !form.matches(POSTED) || !forms().length) { return; }
    if (!now) { keep(); return; }  // The admin's pages have no line that could say anything; the second net holds.
    event.preventDefault();
    if (asking) { return; }
    asking = true;
    const why = await whyNot();
    asking = false;
    if (why) { document.dispatchEvent(new CustomEvent("not-sent", { detail: why })); return; }
    keep();
    passed = true;
    form.requestSubmit(submitter);
    passed = false;
  }, true);

  lookBack();
})();
