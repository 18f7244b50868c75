/** The connection to the server: frames as they come, and whether it is heard at all. */

const SILENT_MS = 4_000;
const AGAIN_MS = 3_000;

export class Stream {
  constructor({ board, trends, heard }) {
    this.on = { board, trends };
    this.heard = heard;
    this.last = null;
    setInterval(() => this.watch(), 500);
  }

  /** Ask for a selection; an earlier one is given up. */
  open(query) {
    this.query = query;
    this.source?.close();
    const text = query.toString();
    this.source = new EventSource(`events${text ? `?${text}` : ""}`);
    this.opened = Date.now();
    for (const [name, take] of Object.entries(this.on)) {
      this.source.addEventListener(name, (event) => {
        this.alive();
        take(JSON.parse(event.data));
      });
    }
    this.source.addEventListener("alive", () => this.alive());
  }

  alive() {
    this.last = Date.now();
    this.heard(true, this.last);
  }

  watch() {
    const silent = Date.now() - (this.last ?? this.opened);
    if (silent > SILENT_MS) this.heard(false, this.last);
    // The browser opens a broken stream again by itself, but not one that was refused.
    const refused = this.source.readyState === EventSource.CLOSED;
    if (refused && Date.now() - this.opened > AGAIN_MS) this.open(this.query);
  }
}
