import { atMost } from "../base/async.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import { ApiError, type Client } from "./client.ts";
import { type EventJson, eventsOf } from "./streams.ts";
import type { Screen } from "./terminal.ts";
import { plainText } from "./text.ts";

/** After the answer to the deploy, the event of the ready revision may take this long. */
const LATE_EVENT_MS = 250;
/** The command waits at most this long for the events: a proxy in front of the admin API may delay the first ones. */
const OPENING_MS = 2000;
/** After this long without a line, it says what the deploy waits for. */
const SILENCE_MS = 3000;
/** Without a terminal, it says so at most this often, so that logs of CI stay readable. */
const LINE_EVERY_MS = 10_000;

/** What a deploy or a start waits for, as the admin API and the event `service.waiting` have it. */
type WaitingJson = Pick<NonNullable<ServiceJson["waiting"]>, "output" | "since" | "text">;

/**
 * Says what is waited for, and for how long: `12s: nothing listens on port 8080 yet; last line: loading`.
 *
 * @param now ms since 1970, by the clock of the cless that says it.
 */
export function waitingText({ output, since, text }: WaitingJson, now: number): string {
  const passedS = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  const length = passedS < 60 ? `${passedS}s` : `${Math.floor(passedS / 60)}m ${passedS % 60}s`;
  const line = output === undefined ? "" : `; last line: ${output}`;
  return plainText(`${length}: ${text}${line}`);
}

/** Shows the progress of a deploy, a start or a wake from its events, until it is disposed. */
export class Progress implements AsyncDisposable {
  readonly #screen: Screen;
  readonly #aborter = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  readonly #clock: Clock;
  #pulling: string | undefined;
  /** When a line was shown last that stays, clock ms. */
  #shownAt: number;
  /** When it has last said what is waited for, clock ms. */
  #saidAt = -Infinity;
  /** Resolves when there are no more events. */
  #done = Promise.resolve();

  private constructor(screen: Screen, clock: Clock) {
    this.#screen = screen;
    this.#clock = clock;
    this.#shownAt = clock.now();
  }

  /** Begins to show events as soon as the API sends them. Shows none if the API refuses. */
  static begin(client: Pick<Client, "send">, service: string, screen: Screen, clock: Clock = systemClock): Progress {
    const progress = new Progress(screen, clock);
    progress.#open(client, service).catch(() => {});
    return progress;
  }

  /**
   * Starts to show events. Shows none if the API refuses or delays them. @throws {OperatorError} If nothing answers.
   */
  static async start(
    client: Pick<Client, "send">,
    service: string,
    screen: Screen,
    clock: Clock = systemClock,
  ): Promise<Progress> {
    const progress = new Progress(screen, clock);
    const opened = progress.#open(client, service);
    let refused: unknown;
    opened.catch((error) => refused = error);
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

  #open(client: Pick<Client, "send">, service: string): Promise<unknown> {
    const request = { query: { service }, accept: "text/event-stream", signal: this.#aborter.signal };
    const opened = client.send("GET", "/v1/events", request);
    this.#done = opened.then(({ body }) => this.#follow(body!), () => {});
    return opened;
  }

  async #follow(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      for await (const event of eventsOf(body, this.#aborter.signal)) this.#show(event);
    } catch {
      // The deploy continues, and its answer reports the outcome.
    }
  }

  #show({ type, data }: EventJson): void {
    if (this.#aborter.signal.aborted) return; // the screen is no longer its own
    const text = (field: string) => plainText(String(data[field] ?? ""));
    switch (type) {
      case "revision.pulling": {
        const image = text("image");
        if (this.#pulling !== image) this.#line(`pulling ${image}`);
        this.#pulling = image;
        const { done, total } = data;
        if (Number(total) > 0 && this.#saidAt === -Infinity) {
          this.#screen.live(`  ${Number(done)} of ${Number(total)} layers`);
        }
        break;
      }
      case "revision.starting":
        this.#line(`starting ${text("revision")}`);
        break;
      case "revision.warning":
        this.#line(`warning: ${text("warning")}`);
        break;
      case "revision.ready": {
        const ms = Number(data["ms"]);
        this.#line(`${text("revision")} is ready${Number.isFinite(ms) ? ` after ${Math.round(ms)} ms` : ""}`);
        this.#ready.resolve();
        break;
      }
      case "service.waiting": {
        const { at, output, since } = data;
        const waiting = {
          text: text("text"),
          since: String(since),
          ...(output === undefined ? {} : { output: text("output") }),
        };
        this.#wait(waitingText(waiting, Date.parse(String(at))));
      }
    }
  }

  #line(text: string): void {
    this.#screen.line(text);
    this.#shownAt = this.#clock.now();
  }

  #wait(text: string): void {
    const now = this.#clock.now();
    if (now - this.#shownAt < SILENCE_MS) return;
    if (!this.#screen.isTerminal && now - this.#saidAt < LINE_EVERY_MS) return;
    this.#saidAt = now;
    this.#screen.wait(`  ${text}`);
  }
}
