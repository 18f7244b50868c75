/** The wallboard: frames from the server become sections and tiles. */

import { Announcer } from "./announcer.js";
import { arrange, element, setText } from "./dom.js";
import * as format from "./format.js";
import { Panel } from "./panel.js";
import { Section } from "./section.js";
import { Controls, applyTheme, cellWords, isTv, query, theme } from "./selection.js";
import { Stream } from "./stream.js";

const byId = (id) => document.getElementById(id);
const board = byId("board");
const sections = new Map();
const panel = new Panel(byId("panel"));
const announcer = new Announcer(byId("announcer"));
let frame = null;
let trends = {};
let lost = false;
/** Of the width of a TV: lines of tiles grow by no more, however much is left. */
const MOST_SPARE = 0.03;

const stream = new Stream({
  board(told) {
    frame = told;
    announcer.see(told.sections);
    controls.offer(told);
    draw();
  },
  trends(told) {
    trends = told;
    for (const section of sections.values()) section.draw(trends);
  },
  heard,
});

const controls = new Controls(byId("controls"), () => {
  announcer.forget();
  stream.open(query());
});

function draw() {
  if (frame === null) return;
  const nodes = frame.sections.map((told) => {
    if (!sections.has(told.exhibit)) {
      const made = new Section((tile) => panel.open(tile, made));
      sections.set(told.exhibit, made);
    }
    const section = sections.get(told.exhibit);
    const before = section.tiles.size;
    section.show(told, cellWords(), lost);
    if (section.tiles.size !== before) section.draw(trends);
    return section.node;
  });
  arrange(board, nodes);
  cut();
  showState();
  panel.follow();
}

/** On a TV nobody scrolls: what does not fit is counted instead of being cut in half. */
function cut() {
  if (!isTv()) return;
  byId("more").hidden = false;
  board.style.setProperty("--spare", "0px");
  const { bottom } = board.getBoundingClientRect();
  const measured = (selector) => [...board.querySelectorAll(selector)].map((item) => [item, item.getBoundingClientRect()]);
  const split = (items) => {
    const hidden = items.filter(([, place]) => place.bottom > bottom + 1).map(([item]) => item);
    for (const [item] of items) item.classList.toggle("cut", hidden.includes(item));
    return hidden;
  };
  const tiles = measured(".tiles > li");
  const rows = measured(".floor tbody tr");
  setText(byId("more"), hiddenWords(split(tiles), split(rows)));
  const places = tiles.filter(([item]) => !item.classList.contains("cut")).map(([, place]) => place);
  const lines = new Set(places.map((place) => place.top)).size;
  if (!lines) return;
  const spare = (bottom - Math.max(...places.map((place) => place.bottom))) / lines;
  board.style.setProperty("--spare", `${Math.min(spare, innerWidth * MOST_SPARE)}px`);
}

/** How much is not on the screen, and whether any of it wants attention. */
function hiddenWords(tiles, rows) {
  const parts = [tiles.length ? `${tiles.length} more values` : "", rows.length ? `${rows.length} more rows of the floor` : ""];
  const all = parts.filter(Boolean).join(" and ");
  const statuses = tiles.map((item) => item.firstChild.dataset.status);
  const missed = statuses.filter((status) => status === "missed").length;
  const judged = statuses.includes("old") || !statuses.length ? "" : `, ${missed || "none"} of them missed`;
  return all && `${all} do not fit on this screen${judged}`;
}

const STATE_WORDS = {
  connecting: "connecting", lost: "connection lost", old: "out of date", waiting: "waiting for values", live: "live",
};

/** What the page as a whole is: no more than its worst part. */
function showState() {
  const states = new Set(frame === null ? [] : frame.sections.map((section) => section.freshness.state));
  const known = states.has("stale") ? "old" : states.has("waiting") ? "waiting" : "live";
  const state = lost ? "lost" : frame === null ? "connecting" : known;
  const connection = byId("connection");
  connection.dataset.state = state;
  setText(connection.querySelector(".words"), STATE_WORDS[state]);
}

/** Whether the server is heard; without it every number grows old. */
function heard(isHeard, last) {
  if (!isHeard && last === null) return;
  if (!isHeard) {
    byId("lost").hidden = false;
    const since = new Date(last).toLocaleTimeString("en-GB");
    setText(byId("lost"), `No connection to the server since ${since}, ${format.ago(Date.now() - last)} ago. `
      + "Do not read these numbers as current.");
  }
  if (lost === !isHeard) return;
  lost = !isHeard;
  if (isHeard) byId("lost").hidden = true;
  announcer.say(isHeard ? "The connection is back" : "The connection is lost");
  draw();
}

applyTheme(theme());
document.documentElement.classList.toggle("tv", isTv());
addEventListener("resize", cut);
board.append(element("p", { class: "silent" }, "Waiting for the first values."));
stream.open(query());
