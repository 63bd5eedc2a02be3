import { type Client, ResponseCut } from "./forwarder.ts";
import type { SlowClients, WatchedAnswer } from "./slow_clients.ts";
import type { StreamBudget } from "./stream_budget.ts";
import type { Upload } from "./upload.ts";

/** Whom a {@linkcode PassedBody} is for. */
export interface PassedBodyOptions {
  /** The client that reads it; if missing, nothing watches whether it is read. */
  readonly client: Client | undefined;
  /** The request's body if it is still on its way. */
  readonly upload: Upload | undefined;
  readonly slowClients: SlowClients;
  readonly budget: StreamBudget;
}

/**
 * The body of a response, passed on while it arrives. It is given up if its client stops reading. The stream fails with
 * {@linkcode ResponseCut} if the body is incomplete.
 */
export abstract class PassedBody implements UnderlyingDefaultSource<Uint8Array>, WatchedAnswer {
  readonly #client: Client | undefined;
  readonly #upload: Upload | undefined;
  readonly #budget: StreamBudget;
  readonly #unwatch: (() => void) | undefined;
  /** The sizes of the last piece and of the one before it, which the platform may still be sending. */
  #lastPieceBytes = 0;
  #olderPieceBytes = 0;
  /** Set once the stream has been made. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #moves = 0;
  /** Whether the client's side is waiting for more. */
  #asked = false;

  constructor({ client, upload, slowClients, budget }: PassedBodyOptions) {
    this.#client = client;
    this.#upload = upload;
    this.#budget = budget;
    this.#unwatch = client && slowClients.watch(client, this);
  }

  /** Reads once from the app, and passes the bytes on. Returns whether the stream got data or its end. */
  protected abstract pass(controller: ReadableStreamDefaultController<Uint8Array>): Promise<boolean>;

  /**
   * Ends the exchange with the app. Called before the stream's reader notices the end, perhaps more than once.
   *
   * @param whole Whether the whole body has come.
   */
  protected abstract end(whole: boolean): Promise<void> | void;

  /** Makes it read less ahead. */
  abstract slowDown(): void;

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#moves++;
    this.#asked = true;
    try {
      while (!await this.pass(controller));
    } catch (error) {
      await this.finish(false);
      controller.error(
        error instanceof ResponseCut ? error : new ResponseCut("the app or its connection ended in mid-body"),
      );
    }
    this.#asked = false;
  }

  /** Called by the stream when its reader has gone. */
  async cancel(): Promise<void> {
    await this.finish(false);
  }

  get moves(): number {
    return this.#moves;
  }

  waitsForClient(): boolean {
    return !this.#asked;
  }

  uploadStopped(tickMs: number, timeoutMs: number): boolean {
    return this.#upload?.hasStopped(tickMs, timeoutMs) ?? false;
  }

  async cut(): Promise<void> {
    // The platform keeps these pieces in memory as long as the client's connection is open.
    const heldBytes = this.#lastPieceBytes + this.#olderPieceBytes;
    const free = () => this.#budget.change(-heldBytes);
    this.#budget.change(heldBytes);
    this.#client?.info.completed.then(free, free);
    await this.fail("the client does not take it");
  }

  /** Ends the stream before its time. */
  protected async fail(reason: string): Promise<void> {
    await this.finish(false);
    this.#controller?.error(new ResponseCut(reason));
  }

  protected async finish(whole: boolean): Promise<void> {
    this.#unwatch?.();
    this.#budget.change(-this.#lastPieceBytes - this.#olderPieceBytes);
    this.#lastPieceBytes = this.#olderPieceBytes = 0;
    await this.end(whole);
  }

  /** Notes that a piece is on its way to the client. */
  protected count(bytes: number): void {
    this.#moves++;
    this.#budget.change(bytes - this.#olderPieceBytes);
    this.#olderPieceBytes = this.#lastPieceBytes;
    this.#lastPieceBytes = bytes;
  }
}
