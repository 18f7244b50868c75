/** What the page shows stands in its address, so that it can be kept and sent. */

import { element } from "./dom.js";
import * as format from "./format.js";

const PAGE_ONLY = new Set(["tv", "theme"]);
const THEME_KEY = "cxstream-wallboard-theme";

export function query() {
  const chosen = new URLSearchParams(location.search);
  for (const name of PAGE_ONLY) chosen.delete(name);
  return chosen;
}

export const isTv = () => new URLSearchParams(location.search).has("tv");

export function theme() {
  return new URLSearchParams(location.search).get("theme") ?? localStorage.getItem(THEME_KEY) ?? "system";
}

export function applyTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

/** The chosen cell in words; empty for the total. */
export function cellWords() {
  return [...query()].filter(([name]) => name !== "exhibit" && name !== "window")
    .map(([name, value]) => `${name} ${format.cellName(value)}`).join(", ");
}

/** Selects for exhibit, window and dimensions, made from what a frame offers. */
export class Controls {
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  offer(frame) {
    const sections = frame.sections;
    const choices = [];
    if (frame.exhibits.length > 1) {
      choices.push(["exhibit", "exhibit", ["", ...frame.exhibits], (name) => name || "all"]);
    }
    const windows = [...new Set(sections.flatMap((section) => section.windows))];
    if (windows.length > 1) choices.push(["window", "window", windows, format.windowName]);
    for (const name of new Set(sections.flatMap((section) => section.by))) {
      const values = new Set(sections.flatMap((section) => {
        const index = section.by.indexOf(name);
        return index < 0 ? [] : section.cells.map((cell) => cell[index]);
      }));
      values.delete("*");
      const wanted = query().get(name);
      if (wanted !== null) values.add(wanted);
      choices.push([name, name.replaceAll("_", " "), ["*", ...[...values].sort()], format.cellName]);
    }
    const same = JSON.stringify([choices.map(([name, , values]) => [name, values]), location.search]);
    if (same === this.same || this.form.contains(document.activeElement)) return;
    this.same = same;
    const window = query().get("window") ?? sections.find((section) => section.window)?.window;
    this.form.replaceChildren(...choices.map((choice) => this.select(choice, window)), this.themes());
  }

  select([name, label, values, words], window) {
    const current = name === "window" ? window : query().get(name) ?? (name === "exhibit" ? "" : "*");
    const made = element("select", { name }, ...values.map((value) =>
      element("option", { value, selected: value === current ? "" : null }, words(value))));
    made.addEventListener("change", () => this.choose(name, made.value));
    return element("label", {}, label, made);
  }

  choose(name, value) {
    const chosen = new URLSearchParams(location.search);
    // "*" and the exhibit "" are what is shown without a choice; "" as a cell is the unknown one.
    if (value === "*" || (name === "exhibit" && value === "")) chosen.delete(name);
    else chosen.set(name, value);
    history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
    this.changed();
  }

  themes() {
    const made = element("select", { name: "theme" }, ...["system", "light", "dark"].map((name) =>
      element("option", { value: name, selected: name === theme() ? "" : null }, name)));
    made.addEventListener("change", () => {
      localStorage.setItem(THEME_KEY, made.value);
      applyTheme(made.value);
    });
    return element("label", {}, "theme", made);
  }
}
