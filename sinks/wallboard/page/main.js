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
      const made = new Section((tile) => panel.open(tile, made.told));
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
}

/** On a TV nobody scrolls: tiles that do not fit are counted instead of being cut in half. */
function cut() {
  if (!isTv()) return;
  const bottom = board.getBoundingClientRect().bottom;
  let hidden = 0;
  for (const item of board.querySelectorAll(".tiles > li")) {
    const fits = item.getBoundingClientRect().bottom <= bottom + 1;
    item.classList.toggle("cut", !fits);
    hidden += fits ? 0 : 1;
  }
  byId("more").hidden = false;
  setText(byId("more"), hidden ? `${hidden} more, none of them worse, do not fit on this screen` : "");
}

/** Whether the server is heard; without it every number grows old. */
function heard(isHeard, last) {
  const connection = byId("connection");
  const words = isHeard ? "live" : last === null ? "connecting" : "connection lost";
  connection.dataset.state = isHeard ? "live" : "lost";
  setText(connection.querySelector(".words"), words);
  if (!isHeard && last !== null) {
    byId("lost").hidden = false;
    const since = new Date(last).toLocaleTimeString("en-GB");
    setText(byId("lost"), `No connection to the server since ${since}, ${format.ago(Date.now() - last)} ago. `
      + "Do not read these numbers as current.");
  }
  if (lost === !isHeard || (!isHeard && last === null)) return;
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
