/** Base units turned into what people read. Every function gives text; undefined is a dash. */

export const DASH = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const two = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** The number and the unit of a value, apart, so that the unit can be small. */
export function parts(value, unit) {
  if (value === null || value === undefined) return [DASH, ""];
  switch (unit) {
    case "ratio":
      return [one.format(value * 100), "%"];
    case "seconds":
      return duration(value);
    case "count":
      return [whole.format(value), ""];
    case "points":
      return [(value > 0 ? "+" : "") + one.format(value).replace("-", "−"), ""];
    default:
      return [two.format(value).replace("-", "−"), ""];
  }
}

export function shown(value, unit) {
  const [number, sign] = parts(value, unit);
  return sign ? `${number} ${sign}` : number;
}

/** Below a minute in seconds, then m:ss, from an hour on h:mm:ss. */
function duration(seconds) {
  if (Math.round(seconds * 10) < 600) return [one.format(seconds), "s"];
  const all = Math.round(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(all / 60) % 60;
  if (all < 3600) return [`${minutes}:${pad(all % 60)}`, "min"];
  return [`${whole.format(Math.floor(all / 3600))}:${pad(minutes)}:${pad(all % 60)}`, "h"];
}

/** A bound of a target, without digits that say nothing. */
function bound(value, unit) {
  return shown(value, unit).replace(/\.0(?= |$)/, "");
}

export function target(range, unit) {
  if (!range) return "";
  const [low, high] = range;
  if (high === null) return `≥ ${bound(low, unit)}`;
  if (low === null) return `≤ ${bound(high, unit)}`;
  return `${bound(low, unit)} to ${bound(high, unit)}`;
}

export function spokenTarget(range, unit) {
  if (!range) return "";
  const [low, high] = range;
  if (high === null) return `at least ${bound(low, unit)}`;
  if (low === null) return `at most ${bound(high, unit)}`;
  return `from ${bound(low, unit)} to ${bound(high, unit)}`;
}

export function interval(low, high) {
  if (low === null || high === null) return "";
  return `${one.format(low * 100)} to ${one.format(high * 100)} %`;
}

export const count = (number) => whole.format(number);

export function clock(ms, zone) {
  if (ms === null) return DASH;
  return new Date(ms).toLocaleTimeString("en-GB", { timeZone: zone });
}

export function moment(ms, zone) {
  const date = new Date(ms).toLocaleDateString("en-CA", { timeZone: zone });
  return `${date} ${clock(ms, zone)}`;
}

/** The time of day, with its date where that is not the day of `now`. */
export function momentNear(ms, now, zone) {
  const day = (at) => new Date(at).toLocaleDateString("en-CA", { timeZone: zone });
  return day(ms) === day(now) ? clock(ms, zone) : `${day(ms)} ${clock(ms, zone)}`;
}

/** How long ago, in the unit that fits. */
export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const WINDOWS = {
  "5m": "last 5 minutes", "15m": "last 15 minutes", "30m": "last 30 minutes", "1h": "last hour",
  today: "today", all: "since the beginning",
};

export const windowName = (window) => WINDOWS[window] ?? window;

/** A value of a dimension: the total and the unknown have words of their own. */
export const cellName = (value) => (value === "*" ? "all" : value === "" ? "unknown" : value);
