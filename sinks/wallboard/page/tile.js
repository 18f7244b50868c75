/** One KPI: a button with its value, target, status, n and trend. */

import { element, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { shape, word } from "./status.js";
import { trendOf } from "./trend.js";

export class Tile {
  constructor(open) {
    this.title = element("span", { class: "title" });
    this.label = element("span", { class: "label" });
    this.status = element("span", { class: "status" });
    this.value = element("span", { class: "value" });
    this.facts = element("span", { class: "facts" });
    this.beside = element("span", { class: "beside" });
    this.trend = trendOf([], null);
    this.button = element("button", { class: "tile", type: "button", "aria-haspopup": "dialog" },
      this.title, this.status, this.label, this.value, this.facts, this.beside, this.trend);
    this.item = element("li", {}, this.button);
    this.button.addEventListener("click", () => open(this));
    this.told = null;
  }

  /**
   * Show a tile of a frame. `old` says that it must not be read as current, `silent` names sources
   * it rests on that are not heard.
   */
  show(told, old, silent, zone) {
    const same = JSON.stringify([told, old, silent]);
    if (same === this.same) return;
    this.same = same;
    this.told = told;
    const status = old ? "old" : told.status;
    setText(this.title, told.title);
    setText(this.label, told.label);
    if (this.button.dataset.status !== status) {
      this.status.replaceChildren(shape(status), word(status));
      this.button.dataset.status = status;
    }
    const [number, unit] = format.parts(told.value, told.unit);
    setText(this.value, number);
    this.value.classList.toggle("none", number === format.DASH);
    this.value.classList.toggle("long", number.length > 6);
    if (unit) this.value.append(element("span", { class: "unit" }, unit));
    this.facts.replaceChildren(...facts(told, silent));
    this.beside.replaceChildren(...compared(told, zone));
    setAttribute(this.button, "data-id", told.id);
    setAttribute(this.button, "aria-label", spoken(told, status, silent));
  }

  draw(points) {
    const drawn = trendOf(points, this.told?.target ?? null);
    this.trend.replaceWith(drawn);
    this.trend = drawn;
  }
}

function facts(told, silent) {
  const found = [];
  const add = (name, text) => text && found.push(element("span", { class: name }, text));
  add("incomplete", silent.length ? "source silent" : "");
  add("target", told.target ? `target ${format.target(told.target, told.unit)}` : "");
  add("n", told.n === null || told.unit === "count" ? "" : `n ${format.count(told.n)}`);
  add("interval", format.interval(told.low, told.high));
  // The heading says that what moves with the clock is provisional; here stands what differs.
  if (told.state !== "provisional" || told.other) add("state", stateOf(told));
  return found;
}

/** The same time last week and the forecast, where they are known. */
function compared(told, zone) {
  const { last_week: week, forecast } = told.compared ?? {};
  const found = [];
  if (week) {
    const span = `${format.clock(week.start_ms, zone).slice(0, 5)} to ${format.clock(week.end_ms, zone).slice(0, 5)}`;
    found.push(element("span", { title: span }, `last week ${format.shown(week.value, told.unit)}`));
  }
  if (forecast !== null && forecast !== undefined) {
    found.push(element("span", {}, `forecast ${format.shown(forecast, told.unit)}`));
  }
  return found;
}

/** Provisional, final, restated; of a cohort both readings. */
function stateOf(told) {
  const state = told.revision ? `${told.state}, revision ${told.revision}` : told.state;
  if (!told.other) return state;
  const other = format.shown(told.other.value, told.unit);
  return `${state}; ${told.other.state} ${other}`;
}

function spoken(told, status, silent) {
  const parts = [
    `${told.title}${told.label ? ` (${told.label})` : ""}: ${told.value === null ? "undefined" : format.shown(told.value, told.unit)}`,
    told.target ? `${word(status)}, target ${format.spokenTarget(told.target, told.unit)}` : word(status),
    told.n === null ? "" : `n ${format.count(told.n)}`,
    stateOf(told),
    silent.length ? `incomplete, ${silent.map(({ source }) => source).join(", ")} is silent` : "",
  ];
  return parts.filter(Boolean).join(". ");
}
