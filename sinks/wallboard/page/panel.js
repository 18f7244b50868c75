/** What a KPI means, and which interactions made its value. Opens on Enter, closes on Escape. */

import { element } from "./dom.js";
import * as format from "./format.js";
import { query } from "./selection.js";
import { shape, word } from "./status.js";

export class Panel {
  constructor(dialog) {
    this.dialog = dialog;
    this.reading = null;
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  async open(tile, section) {
    const { told } = tile;
    this.reading = null;
    const path = `${encodeURIComponent(told.exhibit)}/${encodeURIComponent(told.name)}`;
    this.dialog.replaceChildren(this.bar(told.title), element("p", {}, "Loading the definition …"));
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    const body = await fetched(`definition/${path}`);
    if (body === null) {
      this.dialog.replaceChildren(this.bar(told.title), element("p", {}, "The server does not answer."));
      return;
    }
    this.read = () => reading(tile, section, body);
    this.reading = this.read();
    this.dialog.replaceChildren(
      this.bar(body.title), identity(body), this.reading, element("p", { class: "traps" }, body.traps),
      ...this.rows(path, told, section.told), ...about(body), ...parameters(body), ...formulas(body), ...population(body), ...sources(body),
    );
  }

  /** Keep the value current while the panel lies over its tile. */
  follow() {
    if (this.reading === null || !this.dialog.open) return;
    const drawn = this.read();
    if (drawn.isEqualNode(this.reading)) return;
    this.reading.replaceWith(drawn);
    this.reading = drawn;
  }

  bar(title) {
    const close = element("button", { type: "button" }, "Close");
    close.addEventListener("click", () => this.dialog.close());
    return element("div", { class: "bar" }, element("h2", { id: "panel-title" }, title), close);
  }

  rows(path, told, section) {
    const place = element("div", { "aria-live": "polite" });
    const button = element("button", { type: "button" }, "List the interactions behind this value");
    button.addEventListener("click", async () => {
      button.disabled = true;
      place.replaceChildren(element("p", {}, "Asking ClickHouse …"));
      const text = query().toString();
      place.replaceChildren(...listed(await fetched(`rows/${path}${text ? `?${text}` : ""}`), told, section));
      button.disabled = false;
    });
    return [element("h3", {}, "Interactions"), button, place];
  }
}

async function fetched(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function identity(body) {
  const name = body.name === body.kpi ? body.kpi : `${body.name}: ${body.kpi}`;
  return element("p", { class: "id" }, `${name}, version ${body.version}; ${body.unit}, ${body.better}; ${body.attribution_meaning}`);
}

/** The value and what belongs to it, as the tile shows it at this moment. */
function reading(tile, section, body) {
  const { told } = tile;
  const place = section.told;
  const old = section.old || !tile.item.isConnected;
  const status = old ? "old" : told.status;
  const range = format.interval(told.low, told.high);
  const silent = place.silent_sources.map(({ source }) => source).join(", ");
  const rows = [
    ["target", format.target(told.target, told.unit)],
    ["n", told.n === null ? "" : format.count(told.n)],
    ["95 % interval", range],
    ["state", told.revision ? `${told.state}, revision ${told.revision}` : told.state],
    ["window", body.attribution === "gauge" ? "" : windowed(told, place)],
    ["incomplete", silent ? `${silent} silent` : ""],
    ...beside(told, place),
  ].filter(([, text]) => text);
  return element("div", { class: "reading", "data-status": status },
    element("p", { class: "now" }, format.shown(told.value, told.unit)),
    element("p", { class: "status" }, shape(status), word(status)),
    element("dl", {}, ...rows.flatMap(([name, text]) => pair(name, text))));
}

/** The same time last week, with its hours, and the forecast. */
function beside(told, section) {
  const { last_week: week, forecast } = told.compared ?? {};
  const zone = section.time_zone;
  return [
    ["last week", week ? `${format.shown(week.value, told.unit)}, ${format.moment(week.start_ms, zone)} to ${format.clock(week.end_ms, zone)}` : ""],
    ["forecast so far", forecast === null || forecast === undefined ? "" : format.shown(forecast, told.unit)],
  ];
}

function windowed(told, section) {
  const { start, end } = told.window;
  const name = format.windowName(section.window);
  if (start === null) return name;
  return `${name}, ${format.moment(Date.parse(start), section.time_zone)} to ${format.clock(Date.parse(end), section.time_zone)}`;
}

const pair = (name, ...content) => [element("dt", {}, name), element("dd", {}, ...content)];

function about(body) {
  if (!body.about.length) return [];
  return [element("h3", {}, "In this exhibit"), element("dl", {}, ...body.about.flatMap(([name, text]) => pair(name, text)))];
}

function parameters(body) {
  if (!body.parameters.length) return [];
  const pairs = body.parameters.flatMap(({ name, value, meaning }) =>
    pair(name, typeof value === "object" ? JSON.stringify(value) : String(value), element("small", {}, meaning)));
  return [element("h3", {}, "Parameters"), element("dl", {}, ...pairs)];
}

function formulas(body) {
  const parts = body.formulas.flatMap(({ name, counts, lines }) => [
    element("p", {}, name ? `${name}: ${counts}` : counts),
    element("dl", {}, ...lines.flatMap(([place, text]) => pair(place, element("code", {}, text)))),
  ]);
  return [element("h3", {}, "How it is counted"), ...parts];
}

function population(body) {
  const pairs = Object.entries(body.population).flatMap(([name, values]) => pair(name, values.join(", ")));
  const minimum = body.min_n ? pair("min n", `below ${body.min_n} a target is neither met nor missed`) : [];
  return [element("h3", {}, "Population"), element("dl", {}, ...pairs, ...minimum)];
}

function sources(body) {
  if (!body.sources.length) return [];
  return [element("h3", {}, "Sources"), element("ul", {}, ...body.sources.map((text) => element("li", {}, text)))];
}

function listed(answer, told, section) {
  if (answer === null) return [element("p", {}, "The server does not answer.")];
  if (!answer.offered) {
    return [element("p", {}, "This wallboard does not list interactions. Give it a ClickHouse with "
      + "CXSTREAM_CLICKHOUSE_HOST and a user that may only read; shown beyond this machine it also needs "
      + "CXSTREAM_WALLBOARD_ROWS=always.")];
  }
  if (answer.error) return [element("p", {}, `There is no list: ${answer.error}.`)];
  const { rows, total, as_of: asOf } = answer.found;
  const known = total === null ? "" : ` of ${format.count(total)}`;
  const caption = `${format.count(rows.length)}${known} facts counted as of ${format.clock(Date.parse(asOf), section.time_zone)}. `
    + "ClickHouse can be some seconds behind.";
  return rows.length ? [element("p", {}, caption), table(answer.found, told, section)] : [element("p", {}, caption)];
}

function table({ rows, as_of: asOf }, told, section) {
  const parts = rows.some((row) => row.part);
  const heads = ["time", "interaction", "channel", "queue", "by", "performer", ...(parts ? ["part"] : []), told.unit === "seconds" ? "seconds" : "adds"];
  const body = rows.map((row) => element("tr", {},
    ...[format.momentNear(row.at_ms, Date.parse(asOf), section.time_zone), row.interaction_id, row.channel, row.queue, row.performer_kind, row.performer_id,
      ...(parts ? [row.part] : [])].map((text) => element("td", {}, text)),
    element("td", { class: "number" }, adds(row, told))));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Interactions" },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...body)));
}

/** What a fact adds: a time in seconds, else numerator and denominator as they are. */
function adds(row, told) {
  if (row.numerator === null) return format.DASH;
  if (told.unit === "seconds") return (row.numerator / 1000).toFixed(1);
  return told.unit === "count" ? String(row.numerator) : `${row.numerator} of ${row.denominator}`;
}
