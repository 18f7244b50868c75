/** The floor: performers of each queue by state, and who has been in it for longest. */

import { element } from "./dom.js";
import * as format from "./format.js";

const STATES = ["available", "busy", "wrap", "away", "offline"];
const WORDS = { wrap: "wrap-up" };

export class Floor {
  constructor() {
    this.node = element("div", { class: "floor scroll", tabindex: "0", role: "region", "aria-label": "Performers by state", hidden: "" });
  }

  /** Show the rows of a frame; nothing where the exhibit has none. */
  show({ floor, by }) {
    const same = JSON.stringify(floor);
    if (same === this.same) return;
    this.same = same;
    this.node.hidden = !floor.length;
    const states = STATES.filter((state) => floor.some(({ counts }) => state in counts));
    const names = by.length ? by.map((name) => name.replaceAll("_", " ")) : [""];
    const head = [...names.map((name) => element("th", { scope: "col" }, name)),
      ...states.map((state) => element("th", { scope: "col", class: "number" }, WORDS[state] ?? state))];
    this.node.replaceChildren(element("table", {},
      element("caption", {}, "Below each number: the longest in this state"),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...floor.map((row) => line(row, states)))));
  }
}

function line({ cell, counts, longest }, states) {
  const words = cell.length ? cell.map(format.cellName) : ["all"];
  return element("tr", {}, ...words.map((word) => element("th", { scope: "row" }, word)),
    ...states.map((state) => element("td", { class: "number" },
      element("b", {}, format.count(counts[state] ?? 0)),
      element("small", {}, ...(state in longest ? [element("span", {}, "longest "), format.shown(longest[state], "seconds")] : [])))));
}
