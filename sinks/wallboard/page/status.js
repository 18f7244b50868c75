/** Status by shape and word; colour only repeats them. */

const WORDS = {
  missed: "missed",
  trending: "missed, improving",
  met: "met",
  n_below_min: "n too small",
  undefined: "nothing counted",
  no_target: "no target",
  old: "old",
};

const SHAPES = {
  missed: '<path d="M8 1 15.5 14.5H.5Z" fill="currentColor"/>',
  trending: '<path d="M8 1 15 8 8 15 1 8Z" fill="none" stroke="currentColor" stroke-width="2"/>'
    + '<path d="M5 9.5 8 6l3 3.5" fill="none" stroke="currentColor" stroke-width="1.8"/>',
  met: '<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="2"/>'
    + '<path d="m4.8 8.2 2.3 2.3 4.1-4.6" fill="none" stroke="currentColor" stroke-width="2"/>',
  n_below_min: '<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" '
    + 'stroke-width="2" stroke-dasharray="2.6 2.5"/>',
  undefined: '<path d="M3 8h10" stroke="currentColor" stroke-width="2.4"/>',
  old: '<path d="M4 1.5h8M4 14.5h8M5 2c0 5 6 7 6 12M11 2c0 5-6 7-6 12" fill="none" '
    + 'stroke="currentColor" stroke-width="1.6"/>',
};

export const word = (status) => WORDS[status] ?? status;

/** The shape of a status; none where there is no target. */
export function shape(status) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = SHAPES[status] ?? "";
  return svg;
}
