import { atMost } from "../../base/async.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { ApiError, type Client } from "../client.ts";
import { eventsOf } from "../event_stream.ts";
import type { Screen } from "../output/screen.ts";
import { Progress } from "./progress.ts";

/** How long to wait for events that tell of what has been answered already, ms. */
const LATE_EVENTS_MS = 250;
/** How long what stands before the API may keep the beginning of the events to itself, ms. */
const OPENING_MS = 2000;

/** Shows what happens to a service, until it is let go of. */
export class Watch implements AsyncDisposable {
  readonly #screen: Screen;
  readonly #progress: Progress;
  readonly #aborter = new AbortController();
  /** Resolves when there are no more events. */
  #done = Promise.resolve();

  private constructor(screen: Screen) {
    this.#screen = screen;
    this.#progress = new Progress(screen);
  }

  /** Begins to watch; what happens from now on is shown. Where the API tells no events, or not soon, nothing is. */
  static async start(client: Client, service: string, screen: Screen, clock: Clock = systemClock): Promise<Watch> {
    const watch = new Watch(screen);
    const asking = { query: { service }, accept: "text/event-stream", signal: watch.#aborter.signal };
    const opened = client.send("GET", "/v1/events", asking);
    let refused: unknown;
    opened.catch((error) => refused = error);
    watch.#done = opened.then(({ body }) => watch.#show(body!), () => {});
    await atMost(opened, clock, OPENING_MS);
    if (refused !== undefined && !(refused instanceof ApiError)) throw refused;
    return watch;
  }

  /** Waits a little for the event that a revision is ready, where that is known already. */
  async end(): Promise<void> {
    await atMost(Promise.race([this.#progress.ready, this.#done]), systemClock, LATE_EVENTS_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborter.abort();
    await this.#done;
    this.#screen.clear();
  }

  async #show(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      for await (const event of eventsOf(body, this.#aborter.signal)) this.#progress.show(event);
    } catch {
      // The deploy goes on, and its answer tells the rest.
    }
  }
}
