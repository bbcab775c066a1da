// Keeps a page current: one stream of server-sent events (web/stream.py), read with fetch because EventSource tells
// neither why it was refused nor that it has gone quiet. Where the stream cannot be had, the page asks every two seconds.
// Silence is loud: seven seconds without an event turn the page amber until a fresh snapshot has arrived.
"use strict";
(() => {
  const SILENCE_MAX_MS = 7000, RETRY_MS = 2000, REFUSED_RETRY_MS = 5000, HIDDEN_MAX_MS = 5000;
  const { stream, now, asked, login } = document.body.dataset;
  const byId = (id) => document.getElementById(id);
  const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  // A page that shows a refused form again shows what was typed.
  let edited = Boolean(document.querySelector("form[data-typed]"));
  let reading = null, over = false, away = false, loggedOut = false, askAgain = false, seenAgain = 0;
  // Windows of one browser tell each other that somebody is logged in.
  const windows = new BroadcastChannel("logged-in");

  // Two clocks, and the greater age counts: one stands still while a laptop sleeps, the other can be set back.
  const heard = {
    at() { this.steady = performance.now(); this.wall = Date.now(); },
    age() { return Math.max(performance.now() - this.steady, Date.now() - this.wall); },
  };

  // ── What a person is told ──────────────────────────────────────────────────────────────────────────────────────────
  const say = (sentence, atOnce) => {
    const region = byId(atOnce ? "spoken-at-once" : "spoken");
    if (region) { region.textContent = sentence; }
  };

  const note = (sentence, link) => {
    const line = byId("live-note");
    if (sentence && line.textContent.startsWith(sentence)) { return; }  // A link may have the focus.
    line.textContent = sentence ?? "";
    line.hidden = !sentence;
    if (link) {
      const anchor = Object.assign(document.createElement("a"), { textContent: link.text, href: link.href });
      if (link.newWindow) { anchor.target = "_blank"; }
      line.append(" ", anchor);
    }
  };

  function showAge() {
    if (away) { return; }
    const age = heard.age(), stale = over || loggedOut || age > SILENCE_MAX_MS, seconds = Math.floor(age / 1000);
    const was = document.body.classList.contains("stale");
    let state = "● live", why = "";
    if (over) { [state, why] = ["not current", "This page is not kept current any more."]; }
    else if (loggedOut) { [state, why] = ["logged out", "You are logged out: nothing can be sent."]; }
    else if (stale) { [state, why] = [`No news for ${seconds} s`, `No news for ${seconds} s: what you see may be old.`]; }
    byId("live-state").textContent = state;
    document.body.classList.toggle("stale", stale);
    for (const form of document.querySelectorAll("main form[method=post]")) {
      const button = form.querySelector("button:not([type=button])");
      if (stale) { form.dataset.why = why; button?.setAttribute("aria-description", why); }
      else { delete form.dataset.why; button?.removeAttribute("aria-description"); }
    }
    if (performance.now() - seenAgain > SILENCE_MAX_MS) {
      if (stale && !was && !over && !loggedOut) { say("The page has lost its news: what you see may be old.", true); }
      if (was && !stale) { say("The page is current again."); }
    }
    // A connection that has gone quiet is given up: a new one begins with a fresh snapshot.
    if (age > SILENCE_MAX_MS && reading && performance.now() - reading.begun > SILENCE_MAX_MS) { reading.abort(); }
  }

  // ── The page's parts ───────────────────────────────────────────────────────────────────────────────────────────────
  const alike = (one, other) => one.nodeName === other.nodeName && one.id === other.id;

  // What scripts and readers have put on an element; the server knows nothing of it.
  const KEPT = new Set(["open", "data-why", "aria-description", "data-label"]);

  // Makes the old node equal to the fresh one and keeps what can stay: focus, typed text, selection, unfolded details.
  function bringUpToDate(old, fresh) {
    if (old.isEqualNode(fresh)) { return; }
    if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
    for (const name of old.getAttributeNames()) {
      if (!KEPT.has(name) && !fresh.hasAttribute(name)) { old.removeAttribute(name); }
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) { old.setAttribute(name, value); }
    }
    let place = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      let match = place;
      while (match && !alike(match, child)) { match = match.nextSibling; }
      if (!match) { old.insertBefore(child, place); continue; }
      while (place !== match) { const gone = place; place = place.nextSibling; gone.remove(); }
      bringUpToDate(match, child);
      place = match.nextSibling;
    }
    while (place) { const gone = place; place = place.nextSibling; gone.remove(); }
  }

  function parsed(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  function show({ parts = {}, lists = {}, shown = {}, spoken = {}, csrf }, isFirst) {
    const added = {}, focused = document.activeElement;
    for (const [id, html] of Object.entries(parts)) {
      const old = byId(id), fresh = parsed(html);
      if (!old) { added[id] = fresh; continue; }
      bringUpToDate(old, fresh);
    }
    for (const [id, rows] of Object.entries(lists)) {
      const list = byId(id);
      if (!list) { continue; }
      const wanted = new Set(rows);
      for (const row of [...list.children]) { if (!wanted.has(row.id)) { row.remove(); } }
      let place = list.firstElementChild;
      for (const row of rows) {
        if (place?.id === row) { place = place.nextElementSibling; continue; }
        const element = added[row] ?? byId(row);
        if (!element) { continue; }
        list.insertBefore(element, place);
        window.htmx?.process(element);
      }
    }
    for (const [id, visible] of Object.entries(shown)) { if (byId(id)) { byId(id).hidden = !visible; } }
    // A button that goes off loses the focus; it is not thrown to the top of the page but to the reason.
    if (focused?.disabled) { byId(focused.getAttribute("aria-describedby"))?.focus(); }
    if (!isFirst) { for (const [sentence, atOnce] of Object.values(spoken)) { say(sentence, atOnce); } }
    // Who logged in again in another window has another token: without it every form here would be refused.
    if (csrf) { for (const field of document.getElementsByName("csrfmiddlewaretoken")) { field.value = csrf; } }
  }

  // ── The events ─────────────────────────────────────────────────────────────────────────────────────────────────────
  function leave({ pressed = false } = {}) {
    const address = `${login}?next=${encodeURIComponent(location.pathname + location.search)}`;
    const first = !loggedOut;
    if (first) { askAgain = false; }
    loggedOut = true;
    document.body.classList.add("logged-out");
    reading?.abort();  // Where the cookie alone is gone, the stream would go on, and the page would look alive.
    // Nothing more is asked for until somebody may have logged in: a window says so, or this one is looked at again.
    if (edited || pressed) {  // Typed text is not thrown away: the other window logs in, and this page goes on by itself.
      const sentence = `${pressed ? "Nothing was sent. " : ""}You are logged out. Nothing you typed is lost:`;
      note(sentence, { text: "log in in a new window", href: address, newWindow: true });
      if (first || pressed) { say(pressed ? "Nothing was sent: you are logged out." : "You are logged out.", true); }
    } else {
      note("You are logged out, and this page is not kept current:", { text: "log in", href: address });
      if (first) { location.assign(address); }
    }
    showAge();
  }

  function ended({ why, message }) {
    if (why === "session") { leave(); return; }
    over = true;
    showAge();
    note(message, { text: "Load it again", href: location.href });
    say(message, true);
  }

  let hadSnapshot = false;
  function take(name, data, isStream) {
    if (name === "ended") { ended(data); return; }
    heard.at();
    if (loggedOut) { loggedOut = false; document.body.classList.remove("logged-out"); note(); }
    if (name === "snapshot") { if (isStream) { note(); } show(data, !hadSnapshot); hadSnapshot = true; }
    if (name === "change") { show(data, false); }
    showAge();
  }

  async function read(response, isStream) {
    const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await lines.read();
      if (done) { return; }
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [first, second = ""] = event.split("\n");
        take(first.replace("event: ", ""), JSON.parse(second.replace("data: ", "") || "{}"), isStream);
      }
    }
  }

  // Returns how long to wait before the next try.
  async function follow(address) {
    reading = new AbortController();
    reading.begun = performance.now();
    try {
      const response = await fetch(`${address}?${asked}`, {
        signal: reading.signal,
        cache: "no-store",
        headers: { Accept: "text/event-stream" },  // By this the server knows that no person did anything.
      });
      if (response.status === 401) { leave(); return RETRY_MS; }
      if (!response.ok) {
        const refusal = await response.json().catch(() => ({}));
        if (refusal.message) { note(refusal.message); }
        return REFUSED_RETRY_MS;
      }
      await read(response, address === stream);
      return 0;
    } catch {
      return RETRY_MS;
    } finally {
      reading = null;
    }
  }

  async function run() {
    while (!over) {
      if (away || (loggedOut && !askAgain)) { await pause(200); continue; }
      askAgain = false;
      const begun = performance.now(), wait = await follow(stream);
      if (wait && !away && !over && !loggedOut) { await follow(now); }
      await pause(Math.max(wait, RETRY_MS - (performance.now() - begun), 0));
    }
  }

  if (stream) {
    byId("live-state").textContent = "connecting";  // Without scripts the page goes on saying that it is not live.
    heard.at();
    setInterval(showAge, 1000);
    document.addEventListener("input", (event) => { edited ||= Boolean(event.target.closest("form[method=post]")); });
    document.addEventListener("submit", ({ defaultPrevented }) => { edited &&= defaultPrevented; });
    document.addEventListener("not-sent", ({ detail: why }) => {  // See typed.js.
      edited = true;
      if (why === "session") { leave({ pressed: true }); return; }
      const refused = "Nothing was sent: the server was not reached. What you typed is still here.";
      note(refused);
      say(refused, true);
    });
    // A hidden window gives its connection to one that is looked at (a browser has six for a site), and asks anew when
    // it is seen again. Until the snapshot is there, it says how old it is.
    let hiding;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hiding);
      if (document.hidden) { hiding = setTimeout(() => { away = true; reading?.abort(); }, HIDDEN_MAX_MS); return; }
      if (away) { seenAgain = performance.now(); }
      away = false;
      askAgain = true;
      showAge();
    });
    window.addEventListener("focus", () => { askAgain = true; });
    windows.addEventListener("message", () => { askAgain = true; });
    windows.postMessage("");  // This page was answered to somebody who is logged in.
    // htmx puts no refusal on the page by itself; a button that does nothing must say so.
    document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
      if (xhr.status === 401) { return; }
      const why = xhr.status === 403 ? "this form is too old, load the page again." : `the answer was an error (${xhr.status}).`;
      const refused = `Nothing was done: ${why}`;
      note(refused);
      say(refused, true);
    });
    run();
  }

  // A page taken from the browser's history shows the past: ask for it again.
  window.addEventListener("pageshow", (event) => { if (event.persisted) { location.reload(); } });
})();
