// What is live on a page, and what the keyboard does. Pages are whole without it.

const main = () => document.getElementById("main");
const said = document.getElementById("said");
const link = document.getElementById("link");

// --- entries as they come -------------------------------------------------------------------------------------------
// One stream a page. Each event is an entry; its id is the entry's place, so that nothing is missed when the line breaks.

let last = Number(document.body.dataset.size || 0) - 1;
let waiting = null;
let running = false;
let again = false;

function concerns(stream) {
  const live = (main()?.dataset.live || "").split(" ").filter(Boolean);
  return live.some((part) => part === "*" || stream.startsWith(part));
}

// A page is made anew where it stands: what has the focus keeps it, and what somebody writes is left alone.
async function refresh() {
  waiting = null;
  if (running) { again = true; return; }
  const written = document.activeElement?.closest("main form, main [data-keep]");
  if (written || Date.now() - left < LEAVING_MS || document.hidden) { soon(1500); return; }
  running = true;
  try {
    await htmx.ajax("GET", location.pathname + location.search, {
      target: "#main", select: "#main", selectOOB: "#side:outerMorph", swap: "outerMorph", push: "false",
    });
  } finally {
    running = false;
    decorate();
    if (again) { again = false; soon(); }
  }
}

function soon(ms = 250) {
  if (waiting === null) waiting = setTimeout(refresh, ms);
}

function listen() {
  if (!main()?.dataset.live) return;
  const source = new EventSource(`/api/v1/events?after=${last}`);
  source.addEventListener("entry", (event) => {
    last = Number(event.lastEventId);
    const entry = JSON.parse(event.data);
    if (!concerns(entry.stream)) return;
    if (said && !entry.kind.startsWith("telemetry.")) said.textContent = entry.text;
    soon();
  });
  source.addEventListener("open", () => {
    // While the line was broken a page may not have come that was asked for.
    if (document.body.dataset.live === "off") soon();
    link.hidden = true;
    document.body.dataset.live = "on";
  });
  source.addEventListener("error", () => {
    document.body.dataset.live = "off";
    link.textContent = "not connected; trying again";
    link.hidden = false;
  });
  addEventListener("pagehide", () => source.close());
}

// --- what is on its way ---------------------------------------------------------------------------------------------
// The page while another is fetched, and a part of it while that is made anew, say that they are busy; how that looks is a rule of
// the style sheet.

// Whoever stopped another page on its way stays on this one, which lives on.
const LEAVING_MS = 60_000;
let left = 0;
const fetched = new WeakMap();

function busy(part, is) {
  if (is) part?.setAttribute("aria-busy", "true");
  else part?.removeAttribute("aria-busy");
}

addEventListener("beforeunload", () => { left = Date.now(); busy(main(), true); });
addEventListener("pageshow", () => { left = 0; busy(main(), false); });
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  // News of the page are nothing that somebody waits for.
  if (ctx.target === main()) return;
  fetched.set(ctx.target, ctx);
  busy(ctx.target, true);
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  // What is asked meanwhile is waited for still.
  if (fetched.get(ctx.target) === ctx) busy(ctx.target, false);
});

// --- keyboard -------------------------------------------------------------------------------------------------------

let went = 0;
let here = -1;

function rows() { return [...document.querySelectorAll("main .rows tbody tr")].filter((row) => row.querySelector("a")); }

function move(by) {
  const all = rows();
  if (!all.length) return;
  here = Math.max(0, Math.min(all.length - 1, here + by));
  all.forEach((row, at) => row.toggleAttribute("data-here", at === here));
  all[here].querySelector("a").focus({ preventScroll: true });
  all[here].scrollIntoView({ block: "nearest" });
}

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (Date.now() - went < 1200) {
    went = 0;
    const place = document.querySelector(`#side a[data-key="${CSS.escape(event.key)}"]`);
    if (place) { event.preventDefault(); place.click(); }
    return;
  }
  if (event.key === "g") went = Date.now();
  else if (event.key === "/") { event.preventDefault(); document.getElementById("search")?.focus(); }
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "?") document.getElementById("keys")?.showModal();
});

// --- small things ---------------------------------------------------------------------------------------------------

// Where there is little room, the date of what was today is left out; a moment of another day keeps its own.
const today = new CSSStyleSheet();
function leaveOutToday() {
  const day = new Date().toISOString().slice(0, 10);
  today.replaceSync(`@media (max-width: 1100px) { time[datetime^="${day}"] .day { display: none; } }`);
}
leaveOutToday();
setInterval(leaveOutToday, 60_000);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, today];

function decorate() {
  for (const block of document.querySelectorAll("pre.copy:not(:has(button))")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    block.append(button);
  }
}

// Where the places stand in a row that is wider than the window, the one that one is at is in sight.
const side = document.getElementById("side");
const place = side?.querySelector("[aria-current]");
if (place) side.scrollLeft = place.offsetLeft - (side.clientWidth - place.offsetWidth) / 2;

// The page is seen first; what is wanted later comes after it, for it would hold the first paint up. A page in a tab that nobody
// looks at is painted when somebody does; a browser that keeps such times to itself is given one.
await new Promise((painted) => {
  new PerformanceObserver(painted).observe({ type: "paint", buffered: true });
  setTimeout(painted, 1000);
});
const stamp = new URL(import.meta.url).search;
decorate();
if (document.getElementById("proof")) import(`./proof.js${stamp}`).then((proof) => proof.check());
await new Promise((loaded) => {
  document.head.append(Object.assign(document.createElement("script"), { src: `/assets/htmx.js${stamp}`, onload: loaded }));
});
document.addEventListener("htmx:after:swap", decorate);
listen();
// What was written before that is told now, after htmx has taken the page up in a turn of its own.
setTimeout(() => {
  for (const field of document.querySelectorAll("main textarea")) {
    if (field.value !== field.defaultValue) field.dispatchEvent(new Event("input", { bubbles: true }));
  }
});
