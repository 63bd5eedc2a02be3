import { atMost } from "../base/async.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { ApiError, type Client } from "./client.ts";
import { type EventJson, eventsOf } from "./streams.ts";
import type { Screen } from "./terminal.ts";
import { plainText } from "./text.ts";

/** After the answer to the deploy, the event of the ready revision may take this long. */
const LATE_EVENT_MS = 250;
/** The command waits at most this long for the events: a proxy in front of the admin API may delay the first ones. */
const OPENING_MS = 2000;

/** Shows the progress of a deploy from its events, until it is disposed. */
export class Progress implements AsyncDisposable {
  readonly #screen: Screen;
  readonly #aborter = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  #pulling: string | undefined;
  /** Resolves when there are no more events. */
  #done = Promise.resolve();

  private constructor(screen: Screen) {
    this.#screen = screen;
  }

  /**
   * Starts to show events. Shows none if the API refuses or delays them. @throws {OperatorError} If nothing answers.
   */
  static async start(client: Client, service: string, screen: Screen, clock: Clock = systemClock): Promise<Progress> {
    const progress = new Progress(screen);
    const request = { query: { service }, accept: "text/event-stream", signal: progress.#aborter.signal };
    const opened = client.send("GET", "/v1/events", request);
    let refused: unknown;
    opened.catch((error) => refused = error);
    progress.#done = opened.then(({ body }) => progress.#follow(body!), () => {});
    await atMost(opened, clock, OPENING_MS);
    if (refused !== undefined && !(refused instanceof ApiError)) throw refused;
    return progress;
  }

  /** Waits a moment for the event of the ready revision. Call it after the answer to the deploy. */
  async end(): Promise<void> {
    await atMost(Promise.race([this.#ready.promise, this.#done]), systemClock, LATE_EVENT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborter.abort();
    await this.#done;
    this.#screen.clear();
  }

  async #follow(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      for await (const event of eventsOf(body, this.#aborter.signal)) this.#show(event);
    } catch {
      // The deploy continues, and its answer reports the outcome.
    }
  }

  #show({ type, data }: EventJson): void {
    const text = (field: string) => plainText(String(data[field] ?? ""));
    switch (type) {
      case "revision.pulling": {
        const image = text("image");
        if (this.#pulling !== image) this.#screen.line(`pulling ${image}`);
        this.#pulling = image;
        const { done, total } = data;
        if (Number(total) > 0) this.#screen.live(`  ${Number(done)} of ${Number(total)} layers`);
        break;
      }
      case "revision.starting":
        this.#screen.line(`starting ${text("revision")}`);
        break;
      case "revision.warning":
        this.#screen.line(`warning: ${text("warning")}`);
        break;
      case "revision.ready": {
        const ms = Number(data["ms"]);
        this.#screen.line(`${text("revision")} is ready${Number.isFinite(ms) ? ` after ${Math.round(ms)} ms` : ""}`);
        this.#ready.resolve();
        break;
      }
    }
  }
}
