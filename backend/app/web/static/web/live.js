// Tells htmx's polling (hx-trigger="every 2s [window.streamBroken]") whether the stream is there.
document.addEventListener("htmx:sseOpen", () => { window.streamBroken = false; });
document.addEventListener("htmx:sseError", () => { window.streamBroken = true; });

// What the reader has unfolded stays unfolded when the page is brought up to date.
let unfolded = [];
const details = (element) => [...element.querySelectorAll("details")];
for (const before of ["htmx:sseBeforeMessage", "htmx:beforeSwap"]) {
  document.addEventListener(before, (event) => { unfolded = details(event.target).map((item) => item.open); });
}
for (const after of ["htmx:sseMessage", "htmx:afterSwap"]) {
  document.addEventListener(after, (event) => {
    details(event.target).forEach((item, index) => { item.open = unfolded[index] ?? false; });
  });
}

// A page taken from the browser's history shows the past: ask for it again.
window.addEventListener("pageshow", (event) => { if (event.persisted) { window.location.reload(); } });
