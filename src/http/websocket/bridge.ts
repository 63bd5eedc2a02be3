import { atMost, delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import type { Switched } from "../exact/exchange.ts";
import { ExactForwarder } from "../exact/forwarder.ts";
import { type Client, ForwardError, InstanceGone } from "../forwarder.ts";
import { type Header, splitList } from "../headers.ts";
import type { RequestHead } from "../request_head.ts";
import type { StreamBudget } from "../stream_budget.ts";
import type { SlowClients } from "../slow_clients.ts";
import { AppSocket } from "./app_socket.ts";
import { CloseCode } from "./frames.ts";

/** If more data than this waits for the client, the app is not read until half of it is sent. */
const MUCH_BUFFERED_BYTES = 4 * 1024 * 1024;
/** The unsent data is checked at this interval, since the platform has no event for it. */
const CHECK_MS = 10;
/** If more data than this waits for the app, the WebSocket is closed: the platform cannot stop reading the client. */
const MAX_BUFFERED_BYTES = 32 * 1024 * 1024;
/** A client that answers no ping for this long is gone. */
const IDLE_TIMEOUT_S = 60;
/** The client's side must open within this time. */
const OPEN_TIMEOUT_MS = 10_000;
/** Each side must answer a close within this time. */
const CLOSE_TIMEOUT_MS = 10_000;
/** Part of the handshake: RFC 6455, section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const encoder = new TextEncoder();

/** A WebSocket between a client and an app. */
export interface Bridge {
  /** The response that makes the client's connection a WebSocket, or the app's refusal. */
  readonly response: Response;
  /** Resolves when both sides are closed, or one did not answer a close in time; `undefined` if the app has refused. */
  readonly ended: Promise<void> | undefined;
}

/** Connects clients and apps by WebSocket. It always uses the exact forwarder, whatever `--forward` says. */
export class WebSocketBridge implements Disposable {
  readonly #forwarder: ExactForwarder;
  readonly #clock: Clock;
  readonly #slowClients: SlowClients;

  /** @param connectTimeoutMs How long connecting to an app may take. */
  constructor(clock: Clock, slowClients: SlowClients, budget: StreamBudget, connectTimeoutMs = Infinity) {
    this.#clock = clock;
    this.#slowClients = slowClients;
    this.#forwarder = new ExactForwarder(clock, slowClients, budget, connectTimeoutMs);
  }

  /**
   * Opens the app's side, and then the client's, so that the app's refusal can be passed on.
   *
   * @param origin The app, such as `http://172.18.0.2:8080`.
   * @param signal Aborts the request. Later it ends the WebSocket if its reason is {@linkcode InstanceGone}.
   * @throws {ForwardError} If there is no response.
   * @throws The signal's reason.
   */
  async open(
    request: Request,
    head: RequestHead,
    origin: string,
    signal: AbortSignal,
    reader: Client,
  ): Promise<Bridge> {
    const accept = await acceptFor(request.headers.get("sec-websocket-key"));
    const switched = await this.#forwarder.switchProtocols(
      origin,
      { ...head, headers: handshakeHeaders(head.headers) },
      signal,
      reader,
    );
    if (switched instanceof Response) return { response: switched, ended: undefined };
    let upgraded: Deno.WebSocketUpgrade;
    try {
      upgraded = upgrade(request, switched, accept);
    } catch (error) {
      switched.close();
      throw error;
    }
    const { socket: client, response } = upgraded;
    const app = new AppSocket(switched);
    const ending = Promise.withResolvers<void>();
    const bothClosed = this.#join(client, app, reader, ending.resolve);
    // The caller gives back its slot on the instance once `ended` resolves. So this limits the wait for the answer to a
    // close: the platform itself would wait for ever.
    const ended = ending.promise.then(() => atMost(bothClosed, this.#clock, CLOSE_TIMEOUT_MS)).then(() => app.drop());
    const breakOff = () => {
      if (!(signal.reason instanceof InstanceGone)) return;
      // A dead container's address may never answer, so close both sides without waiting for an answer.
      app.drop();
      close(client, CloseCode.unexpected, "");
      ending.resolve();
    };
    signal.addEventListener("abort", breakOff, { once: true });
    if (signal.aborted) breakOff();
    return { response, ended };
  }

  [Symbol.dispose](): void {
    this.#forwarder[Symbol.dispose]();
  }

  /**
   * Connects the two sides. Calls `end` when the first one is closed or told to close. Resolves when both are closed.
   */
  async #join(client: WebSocket, app: AppSocket, reader: Client, end: () => void): Promise<void> {
    const clientClosed = Promise.withResolvers<void>();
    const appClosed = Promise.withResolvers<void>();
    client.binaryType = "arraybuffer";
    const cancelOpenTimeout = this.#clock.after(OPEN_TIMEOUT_MS, () => {
      app.drop();
      end();
    });
    client.onopen = () => {
      cancelOpenTimeout();
      app.listen({
        message: (data) => {
          if (client.readyState !== WebSocket.OPEN) return;
          client.send(data);
          if (client.bufferedAmount <= MUCH_BUFFERED_BYTES) return;
          return this.#untilTaken(client, reader.clientTimeoutMs).then((isTaken) => {
            if (isTaken) return;
            app.drop();
            close(client, CloseCode.tooBig, "the receiver is too slow");
            this.#slowClients.stopped(reader, "websocket");
            appClosed.resolve();
            end();
          });
        },
        close: (code, reason) => {
          close(client, code === CloseCode.broken ? CloseCode.unexpected : code, reason);
          appClosed.resolve();
          end();
        },
      });
    };
    client.onmessage = ({ data }) => {
      app.send(data);
      if (app.bufferedBytes <= MAX_BUFFERED_BYTES) return;
      client.onmessage = null;
      close(client, CloseCode.tooBig, "the receiver is too slow");
      app.close(CloseCode.tooBig, "too much is waiting");
      end();
    };
    client.onerror = () => {}; // a close event follows
    client.onclose = ({ code, reason }) => {
      cancelOpenTimeout();
      // 0: the connection broke before it was open.
      app.close(code === 0 || code === CloseCode.broken ? CloseCode.unexpected : code, reason);
      clientClosed.resolve();
      end();
    };
    await Promise.all([clientClosed.promise, appClosed.promise]);
  }

  /** Waits until the client has read enough, or has gone. Returns false if it has stopped reading. */
  async #untilTaken(client: WebSocket, timeoutMs: number): Promise<boolean> {
    let bufferedBytes = client.bufferedAmount;
    let stillMs = 0;
    while (client.readyState === WebSocket.OPEN && client.bufferedAmount > MUCH_BUFFERED_BYTES / 2) {
      if (stillMs >= timeoutMs) return false;
      await delay(this.#clock, CHECK_MS);
      stillMs = client.bufferedAmount === bufferedBytes ? stillMs + CHECK_MS : 0;
      bufferedBytes = client.bufferedAmount;
    }
    return true;
  }
}

/**
 * The headers of the request to the app; without extensions, which the platform does not support on the client's side.
 */
function handshakeHeaders(headers: readonly Header[]): Header[] {
  return [
    ...headers.filter(([name]) => name !== "sec-websocket-extensions"),
    ["connection", "Upgrade"],
    ["upgrade", "websocket"],
  ];
}

/** The `Sec-WebSocket-Accept` that belongs to a key. Loading node:crypto for it would cost 6 MB of memory. */
async function acceptFor(key: string | null): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", encoder.encode(key + GUID));
  return new Uint8Array(digest).toBase64();
}

/**
 * Makes the client's connection a WebSocket with the app's subprotocol.
 *
 * @param accept The expected `Sec-WebSocket-Accept`.
 * @throws {ForwardError} If the app's response does not fit the request.
 */
function upgrade(request: Request, { head }: Switched, accept: string): Deno.WebSocketUpgrade {
  const headers = headersOf(head);
  if (headers.get("sec-websocket-accept") !== accept) {
    throw new ForwardError("garbled", "the Sec-WebSocket-Accept does not belong to the request's key");
  }
  if (headers.has("sec-websocket-extensions")) throw new ForwardError("garbled", "an extension that was not requested");
  const protocol = headers.get("sec-websocket-protocol");
  if (protocol !== null && !splitList(request.headers.get("sec-websocket-protocol")).includes(protocol)) {
    throw new ForwardError("garbled", "a subprotocol that was not requested");
  }
  return Deno.upgradeWebSocket(request, { ...(protocol ? { protocol } : {}), idleTimeout: IDLE_TIMEOUT_S });
}

function headersOf({ headers }: Switched["head"]): Headers {
  try {
    return new Headers(headers);
  } catch {
    throw new ForwardError("garbled", "a header name or value that HTTP does not know");
  }
}

/** Closes the client's side, unless it is closing. @param code 1005 for none. */
function close(client: WebSocket, code: number, reason: string): void {
  if (client.readyState >= WebSocket.CLOSING) return;
  if (code === CloseCode.none) client.close();
  else client.close(code, reason);
}
