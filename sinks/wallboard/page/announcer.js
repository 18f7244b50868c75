/** Tells a screen reader what matters: targets that turn, and data that grows old. Never values. */

import * as format from "./format.js";
import { word } from "./status.js";

const PAUSE_MS = 10_000;
const AT_ONCE = 3;

export class Announcer {
  constructor(node) {
    this.node = node;
    this.statuses = new Map();
    this.states = new Map();
    this.waiting = [];
    this.timer = null;
  }

  /** Note a frame; say what turned since the last one. */
  see(sections) {
    for (const section of sections) {
      const { state } = section.freshness;
      const before = this.states.get(section.exhibit);
      if (before !== undefined && before !== state) {
        this.say(state === "live" ? `${section.title} is current again` : `${section.title} is out of date`);
      }
      this.states.set(section.exhibit, state);
      if (state === "live") section.tiles.forEach((tile) => this.turned(tile));
    }
  }

  turned(tile) {
    const before = this.statuses.get(tile.id);
    this.statuses.set(tile.id, tile.status);
    const recovered = tile.status === "met" && (before === "missed" || before === "trending");
    const fell = tile.status === "missed" && before !== "trending";
    if (before === undefined || before === tile.status || !(fell || recovered)) return;
    this.say(`${tile.title} ${word(tile.status)}: ${format.shown(tile.value, tile.unit)}`);
  }

  /** Another choice of window or cell is no news. */
  forget() {
    this.statuses.clear();
  }

  say(text) {
    this.waiting.push(text);
    if (this.timer === null) this.speak();
  }

  speak() {
    const told = this.waiting.slice(0, AT_ONCE);
    const more = this.waiting.length - told.length;
    this.waiting = [];
    this.timer = null;
    if (!told.length) return;
    this.node.textContent = told.join(". ") + (more ? `. And ${more} more` : "");
    this.timer = setTimeout(() => this.speak(), PAUSE_MS);
  }
}
