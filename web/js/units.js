// Numbers and times in words.

export function bytes(n) {
  if (!Number.isFinite(n)) return "–";
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 1000) return `${unit === "B" || n >= 100 ? Math.round(n) : n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} TB`;
}

export function number(n) {
  if (!Number.isFinite(n)) return "–";
  return n.toLocaleString("en", { maximumFractionDigits: Math.abs(n) < 10 ? 1 : 0 });
}

/** 83000 → "1:23"; with `tenths`, "1:23.0". */
export function clock(ms, tenths = false) {
  const t = Math.max(0, Number.isFinite(ms) ? ms : 0);
  const seconds = Math.floor(t / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  let out = `${parts[0]}:${String(parts[1]).padStart(2, "0")}`;
  if (seconds >= 3600) out = `${Math.floor(seconds / 3600)}:${String(parts[0]).padStart(2, "0")}:${String(parts[1]).padStart(2, "0")}`;
  return tenths ? `${out}.${Math.floor((t % 1000) / 100)}` : out;
}

/** 4000 → "4 s", 90000 → "2 min": how long something will take. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const FULL = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
// A peer's time may be no time at all, and Intl throws at those.
const date = (at) => { const d = new Date(Number(at)); return Number.isNaN(d.getTime()) ? new Date(0) : d; };

export const time = (at) => TIME.format(date(at));
/** Without AM and PM, where there is little room. */
export const shortTime = (at) => time(at).replace(/\s?[AP]M$/i, "");
export const fullTime = (at) => FULL.format(date(at));
export const dayKey = (at) => date(at).toDateString();

export function day(at) {
  const then = date(at).toDateString();
  if (then === new Date().toDateString()) return "Today";
  if (then === new Date(Date.now() - 86_400_000).toDateString()) return "Yesterday";
  return DAY.format(date(at));
}
