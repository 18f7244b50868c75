/** One exhibit: its heading, whether it is current, and its tiles, the worst first. */

import { arrange, element, setText } from "./dom.js";
import { Floor } from "./floor.js";
import * as format from "./format.js";
import { Tile } from "./tile.js";
import { word } from "./status.js";

const SUMMED = ["missed", "trending", "met", "n_below_min"];

export class Section {
  constructor(open) {
    this.open = open;
    this.tiles = new Map();
    this.heading = element("h2");
    this.about = element("p", { class: "about" });
    this.sum = element("p", { class: "sum" });
    this.notice = element("p", { class: "notice", hidden: "" });
    this.silent = element("p", { class: "silent", hidden: "" });
    this.unheard = element("p", { class: "notice unheard", hidden: "" });
    this.floor = new Floor();
    this.measured = element("ul", { class: "tiles measured" });
    this.counted = element("ul", { class: "tiles counted" });
    this.node = element("section", { class: "exhibit" },
      element("header", {}, this.heading, this.about, this.sum),
      this.notice, this.unheard, this.silent, this.floor.node, this.measured, this.counted);
  }

  /** Show a section of a frame. `lost` says that the server is not heard. */
  show(told, cell, lost) {
    this.told = told;
    const { freshness } = told;
    const old = lost || freshness.state !== "live";
    this.old = old;
    setText(this.heading, told.title);
    setText(this.about, [format.windowName(told.window), cell, asOf(told), provisional(told)].filter(Boolean).join(" · "));
    this.node.classList.toggle("old", old);
    this.notice.hidden = freshness.state !== "stale";
    if (freshness.state === "stale") {
      const since = format.clock(freshness.as_of_ms, told.time_zone);
      setText(this.notice, `Out of date since ${since}: ${freshness.reason}. Do not read these numbers as current.`);
    }
    this.silent.hidden = !told.silent;
    setText(this.silent, told.silent ? `No values: ${told.silent}.` : "");
    this.summarize(told.tiles);
    this.tellUnheard(told);
    this.floor.show(told);
    this.place(told.tiles, old);
  }

  /** Sources that are not heard: whatever rests on them is incomplete. */
  tellUnheard({ silent_sources: silent, freshness, time_zone: zone }) {
    this.unheard.hidden = !silent.length;
    const told = silent.map(({ source, since_ms: since }) =>
      `${source} has told nothing since ${format.momentNear(since, freshness.as_of_ms, zone)}`);
    setText(this.unheard, told.length ? `${told.join("; ")}. These numbers are incomplete.` : "");
  }

  summarize(tiles) {
    const found = SUMMED.map((status) => [status, tiles.filter((tile) => tile.status === status).length]);
    const parts = found.filter(([, number]) => number).flatMap(([status, number], index) => [
      index ? " · " : "",
      element("b", { class: status }, String(number)),
      ` ${word(status)}`,
    ]);
    const text = parts.map((part) => part.textContent ?? part).join("");
    if (this.sum.textContent !== text) this.sum.replaceChildren(...parts);
  }

  place(tiles, old) {
    const ids = new Set(tiles.map((tile) => tile.id));
    for (const id of [...this.tiles.keys()]) if (!ids.has(id)) this.tiles.delete(id);
    for (const told of tiles) {
      if (!this.tiles.has(told.id)) this.tiles.set(told.id, new Tile(this.open));
      this.tiles.get(told.id).show(told, old, this.told.silent_sources, this.told.time_zone);
    }
    // Order holds still under a reader's hands: moving a tile would take the focus from it.
    const known = new Set([...this.measured.children, ...this.counted.children]);
    const here = tiles.map((told) => this.tiles.get(told.id).item);
    if (this.node.contains(document.activeElement) && here.every((item) => known.has(item))
      && here.length === known.size) return;
    const of = (wanted) => tiles.filter((told) => (told.target !== null) === wanted)
      .map((told) => this.tiles.get(told.id).item);
    arrange(this.measured, of(true));
    arrange(this.counted, of(false));
  }

  draw(trends) {
    for (const [id, tile] of this.tiles) tile.draw(trends[id]);
  }
}

function provisional(told) {
  return told.tiles.some((tile) => tile.state === "provisional") ? "provisional" : "";
}

function asOf(told) {
  const { as_of_ms: at, state } = told.freshness;
  if (at === null || state === "waiting") return "";
  return `as of ${format.clock(at, told.time_zone)} ${told.time_zone}`;
}
