import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import type { Switched } from "../exact/exchange.ts";
import { ExactForwarder } from "../exact/forwarder.ts";
import { ForwardError } from "../forward.ts";
import { splitList } from "../header_list.ts";
import type { Header, RequestHead } from "../request_head.ts";
import { InstanceGone } from "../unanswered_requests.ts";
import { AppSocket } from "./app_socket.ts";
import { Ending } from "./ending.ts";
import { CloseCode } from "./frame.ts";

/** From here on no more is read of the app until its client has taken half of it, bytes. */
const MUCH_BUFFERED = 4 * 1024 * 1024;
/** How often that is looked at, ms: the platform does not tell. */
const LOOK_MS = 10;
/** How much may wait for a slow app before the connection is closed, bytes: the client cannot be slowed. */
const MOST_BUFFERED = 32 * 1024 * 1024;
/** A client that answers no ping for so long is gone, s. */
const IDLE_TIMEOUT_S = 60;
/** How long the client's side may take to open, and either to answer a close, ms. */
const PATIENCE_MS = 10_000;
/** RFC 6455, section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const encoder = new TextEncoder();

/** A WebSocket that passes through. */
export interface Bridge {
  /** The answer that makes the client's connection a WebSocket, or the app's refusal. */
  readonly response: Response;
  /** Resolves when both sides are closed, or one leaves its close unanswered; missing where the app has refused. */
  readonly ended: Promise<void> | undefined;
}

/** Connects to an app by WebSocket, and the client with it; as exactly as that can be, whatever forwards the rest. */
export class WebSocketBridge implements Disposable {
  readonly #forwarder: ExactForwarder;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#forwarder = new ExactForwarder(clock);
  }

  /**
   * Opens the app's side first, so that a refusal can still be passed on.
   *
   * @param origin The app, such as `http://172.18.0.2:8080`.
   * @param signal Gives it up, and ends it when its reason is that the instance has ended.
   * @throws {ForwardError} When there is no answer.
   * @throws The signal's reason.
   */
  async open(request: Request, head: RequestHead, origin: string, signal: AbortSignal): Promise<Bridge> {
    const accept = await acceptFor(request.headers.get("sec-websocket-key"));
    const switched = await this.#forwarder.switchProtocols(
      origin,
      { ...head, headers: askingHeaders(head.headers) },
      signal,
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
    const ending = new Ending(this.#clock, PATIENCE_MS);
    ending.ended.then(() => app.drop());
    this.#join(client, app, ending);
    const breakOff = () => {
      // The address of a dead container may never answer.
      if (!(signal.reason instanceof InstanceGone)) return;
      app.drop();
      close(client, CloseCode.unexpected, "");
      ending.begin();
    };
    signal.addEventListener("abort", breakOff, { once: true });
    if (signal.aborted) breakOff();
    return { response, ended: ending.ended };
  }

  [Symbol.dispose](): void {
    this.#forwarder[Symbol.dispose]();
  }

  /** Passes on what either side says, and its close. */
  #join(client: WebSocket, app: AppSocket, ending: Ending): void {
    client.binaryType = "arraybuffer";
    const notOpened = this.#clock.after(PATIENCE_MS, () => {
      app.drop();
      ending.begin();
    });
    client.onopen = () => {
      notOpened();
      app.listen({
        message: (data) => {
          if (client.readyState !== WebSocket.OPEN) return;
          client.send(data);
          return client.bufferedAmount > MUCH_BUFFERED ? this.#untilTaken(client) : undefined;
        },
        close: (code, reason) => {
          close(client, code === CloseCode.broken ? CloseCode.unexpected : code, reason);
          ending.sideClosed();
        },
      });
    };
    client.onmessage = ({ data }) => {
      app.send(data);
      if (app.bufferedAmount <= MOST_BUFFERED) return;
      client.onmessage = null;
      close(client, CloseCode.tooBig, "the receiver is too slow");
      app.close(CloseCode.tooBig, "too much is waiting");
      ending.begin();
    };
    client.onerror = () => {}; // a close event follows
    client.onclose = ({ code, reason }) => {
      notOpened();
      // 0 means that the connection broke before it was open.
      app.close(code === 0 || code === CloseCode.broken ? CloseCode.unexpected : code, reason);
      ending.sideClosed();
    };
  }

  /** Resolves when the client has taken enough, or is gone. */
  async #untilTaken(client: WebSocket): Promise<void> {
    while (client.readyState === WebSocket.OPEN && client.bufferedAmount > MUCH_BUFFERED / 2) {
      await delay(this.#clock, LOOK_MS);
    }
  }
}

/** What the app is asked with: without extensions, since the platform's side of the client knows none. */
function askingHeaders(headers: readonly Header[]): Header[] {
  return [
    ...headers.filter(([name]) => name !== "sec-websocket-extensions"),
    ["connection", "Upgrade"],
    ["upgrade", "websocket"],
  ];
}

/** What an answer to a key has to show. By the platform's own means: node:crypto would be 6 MB more in memory. */
async function acceptFor(key: string | null): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", encoder.encode(key + GUID));
  return new Uint8Array(digest).toBase64();
}

/**
 * Makes the client's connection a WebSocket that speaks as the app does.
 *
 * @param accept What the app's answer has to show.
 * @throws {ForwardError} When the app has agreed to something else than it was asked for.
 */
function upgrade(request: Request, { head }: Switched, accept: string): Deno.WebSocketUpgrade {
  const answered = headersOf(head);
  if (answered.get("sec-websocket-accept") !== accept) {
    throw new ForwardError("garbled", "the answer is for another WebSocket");
  }
  if (answered.has("sec-websocket-extensions")) throw new ForwardError("garbled", "an extension nobody has asked for");
  const protocol = answered.get("sec-websocket-protocol");
  if (protocol !== null && !splitList(request.headers.get("sec-websocket-protocol")).includes(protocol)) {
    throw new ForwardError("garbled", "a subprotocol nobody has asked for");
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

/** Closes the client's side. @param code 1005 for none. */
function close(client: WebSocket, code: number, reason: string): void {
  if (client.readyState >= WebSocket.CLOSING) return;
  if (code === CloseCode.none) client.close();
  else client.close(code, reason);
}
