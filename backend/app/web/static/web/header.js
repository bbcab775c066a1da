// The clocks in the header go by the server's clock, from the moment at which the page was written.
// A page that lay in the browser's history is loaded again by live.js, so the moment is never an old one.
const clocks = [...document.querySelectorAll("[data-clock]")];
if (clocks.length) {
  const loaded = performance.now();
  const written = Date.parse(clocks[0].dateTime);
  const ways = clocks.map((clock) => new Intl.DateTimeFormat("en-GB", {
    timeZone: clock.dataset.clock, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  }));
  // American English alone writes EDT and EST; others write GMT-4.
  const zone = new Intl.DateTimeFormat("en-US", { timeZone: "America/New_York", timeZoneName: "short" });
  setInterval(() => {
    const now = new Date(written + performance.now() - loaded);
    clocks.forEach((clock, place) => {
      clock.textContent = ways[place].format(now);
      clock.dateTime = `${now.toISOString().slice(0, 19)}Z`;
    });
    const name = zone.formatToParts(now).find(({ type }) => type === "timeZoneName").value, line = document.getElementById("clock-zone");
    if (line.textContent !== name) { line.textContent = name; }
  }, 1000);
}

// On a phone a row is a card: each cell says which column it is of. The words are the table's own headings.
function labelled(root) {
  for (const table of root.querySelectorAll(".scroll table")) {
    const headings = [...table.querySelectorAll("thead th")].map((heading) => heading.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, place) => { cell.dataset.label = headings[place] ?? ""; });
    }
  }
}
const main = document.querySelector("main");
if (main) {
  labelled(document);
  document.documentElement.classList.add("labelled");
  new MutationObserver(() => labelled(document)).observe(main, { childList: true, subtree: true });
}

// The account's figures are asked for again while somebody looks. Where that fails they stay, and their age grows.
const figures = document.getElementById("figures");
function ageing() {
  const reported = figures.querySelector("[data-seconds]");
  if (!reported) { return; }
  const seconds = Number(reported.dataset.seconds) + (performance.now() - figuresAt) / 1000;
  const [size, unit] = seconds < 120 ? [1, "s"] : seconds < 7200 ? [60, "min"] : seconds < 172800 ? [3600, "h"] : [86400, "d"];
  reported.textContent = `${Math.floor(seconds / size)} ${unit} ago`;
  reported.closest(".figures").classList.toggle("old", seconds > Number(reported.dataset.old));
}
let figuresAt = performance.now();
async function figuresAsked() {
  if (document.hidden || document.body.classList.contains("logged-out")) { return; }
  try {
    const answer = await fetch(figures.dataset.address, { redirect: "error" });
    if (answer.ok) {
      figures.innerHTML = await answer.text();
      figuresAt = performance.now();
    }
  } catch { /* The server is away, or the visitor is logged out: live.js says so. */ }
}
if (figures) {
  setInterval(ageing, 1000);
  setInterval(figuresAsked, 30000);
}
