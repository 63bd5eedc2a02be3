import type { EventJson } from "../event_stream.ts";
import { plainText } from "../output/table.ts";

/** Where progress is shown. */
export interface Screen {
  /** Writes a line that stays. */
  line(text: string): void;
  /** Shows a line that the next one takes the place of; nothing where there is no terminal. */
  live(text: string): void;
  /** Takes away what is live. */
  clear(): void;
}

/** A screen on stderr, since stdout is for what was asked for. */
export function stderrScreen(): Screen {
  const terminal = Deno.stderr.isTerminal();
  const encoder = new TextEncoder();
  let shown = false;
  const clear = () => {
    if (shown) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
    shown = false;
  };
  return {
    clear,
    line: (text) => {
      clear();
      console.error(text);
    },
    live: (text) => {
      if (!terminal) return;
      clear();
      // A line that is broken could not be taken back.
      Deno.stderr.writeSync(encoder.encode(text.slice(0, Deno.consoleSize().columns - 1)));
      shown = true;
    },
  };
}

/** Says what becomes of a deploy, by the events of its service. */
export class Progress {
  readonly #screen: Screen;
  #pulling: string | undefined;
  readonly #ready = Promise.withResolvers<void>();

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Resolves once a revision has become ready. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Takes the next event. */
  show({ type, data }: EventJson): void {
    const revision = plainText(String(data["revision"] ?? ""));
    switch (type) {
      case "revision.pulling": {
        const image = plainText(String(data["image"] ?? ""));
        if (this.#pulling !== image) this.#screen.line(`pulling ${image}`);
        this.#pulling = image;
        const { done, total } = data;
        if (Number(total) > 0) this.#screen.live(`  ${Number(done)} of ${Number(total)} layers`);
        break;
      }
      case "revision.starting":
        this.#screen.line(`starting ${revision}`);
        break;
      case "revision.ready": {
        const ms = Number(data["ms"]);
        this.#screen.line(`${revision} is ready${Number.isFinite(ms) ? ` after ${Math.round(ms)} ms` : ""}`);
        this.#ready.resolve();
        break;
      }
    }
  }
}
