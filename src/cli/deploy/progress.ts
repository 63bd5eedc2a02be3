import type { EventJson } from "../event_stream.ts";
import type { Screen } from "../output/screen.ts";
import { plainText } from "../output/table.ts";

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
