/** The last hour of a value as a line, with the target dashed. Gaps stay gaps. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 30;
const EDGE = 2;

export function trendOf(points, target) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "trend");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const known = (points ?? []).filter((point) => point !== null);
  if (known.length < 2) return svg;
  const bounds = (target ?? []).filter((bound) => bound !== null);
  const low = Math.min(...known, ...bounds);
  const high = Math.max(...known, ...bounds);
  const y = (value) => high === low
    ? HEIGHT / 2
    : HEIGHT - EDGE - ((value - low) / (high - low)) * (HEIGHT - 2 * EDGE);
  // A young line grows from the left; a full one is an hour wide.
  const x = (index) => (index / Math.max(points.length - 1, 1)) * WIDTH;
  for (const bound of bounds) add(svg, "bound", `M0 ${y(bound).toFixed(1)}H${WIDTH}`);
  add(svg, "line", path(points, x, y));
  return svg;
}

function path(points, x, y) {
  let drawing = false;
  let text = "";
  points.forEach((point, index) => {
    if (point !== null) text += `${drawing ? "L" : "M"}${x(index).toFixed(1)} ${y(point).toFixed(1)}`;
    drawing = point !== null;
  });
  return text;
}

function add(svg, name, d) {
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", name);
  line.setAttribute("d", d);
  svg.append(line);
}
