import type { Clock } from "./clock.ts";
import { ForwardError } from "./forward.ts";
import type { RequestHead } from "./request_head.ts";
import { InstanceGone } from "./unanswered_requests.ts";

/** How much may wait for a slow receiver before the connection is closed, bytes. */
const MOST_BUFFERED = 32 * 1024 * 1024;
const TOO_BIG = 1009;
const UNEXPECTED = 1011;
/** A client that answers no ping for so long is gone, s. */
const IDLE_TIMEOUT_S = 60;
/** How long the client's side may take to open, and either to answer a close, ms. */
const PATIENCE_MS = 10_000;

/** A WebSocket that passes through. */
export interface Bridge {
  /** The answer that makes the client's connection a WebSocket, or the app's refusal. */
  readonly response: Response;
  /** Resolves when both sides are closed, or one leaves its close unanswered. */
  readonly ended: Promise<void>;
}

/** Connects to an app by WebSocket, and the client with it. */
export class WebSocketBridge implements Disposable {
  // The app must see the Host that the client asked for.
  readonly #client = Deno.createHttpClient({ allowHost: true, http2: false });
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Opens the app's side first, so that a refusal can still be passed on.
   *
   * @param origin The app, such as `http://172.18.0.2:8080`.
   * @param signal Gives it up while the app has not agreed.
   * @throws {ForwardError} When there is no answer.
   * @throws The signal's reason.
   */
  async open(request: Request, head: RequestHead, origin: string, signal: AbortSignal): Promise<Bridge> {
    signal.throwIfAborted();
    const protocols = splitList(request.headers.get("sec-websocket-protocol"));
    const app = new WebSocket(origin.replace(/^http/, "ws") + head.target, {
      headers: head.headers.filter(([name]) => name !== "accept-encoding" && !name.startsWith("sec-websocket-")),
      protocols,
      client: this.#client,
    });
    app.binaryType = "arraybuffer";
    const early = new EarlyMessages(app);
    const refusal = await opened(app, signal);
    if (refusal !== undefined) return { response: new Response(null, { status: refusal }), ended: Promise.resolve() };
    const { socket: client, response } = upgrade(request, app);
    client.binaryType = "arraybuffer";
    const ending = new Ending(this.#clock);
    const cancel = this.#clock.after(PATIENCE_MS, () => close(app, 1006, ""));
    client.onopen = () => {
      cancel();
      early.passOn(relay(app, client, ending));
    };
    relay(client, app, ending);
    closeTogether(client, app, ending);
    closeTogether(app, client, ending);
    signal.addEventListener("abort", () => {
      // The address of a dead container may never answer.
      if (!(signal.reason instanceof InstanceGone)) return;
      close(client, 1006, "");
      ending.begin();
    }, { once: true });
    return { response, ended: ending.ended };
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** Makes the client's connection a WebSocket that speaks as the app does. */
function upgrade(request: Request, app: WebSocket): Deno.WebSocketUpgrade {
  try {
    return Deno.upgradeWebSocket(request, {
      ...(app.protocol ? { protocol: app.protocol } : {}),
      idleTimeout: IDLE_TIMEOUT_S,
    });
  } catch (error) {
    app.close();
    throw error;
  }
}

/** What the app says before the client's side is open. */
class EarlyMessages {
  readonly #messages: MessageEvent["data"][] = [];

  constructor(app: WebSocket) {
    app.onmessage = ({ data }) => this.#messages.push(data);
  }

  passOn(pass: (event: { data: MessageEvent["data"] }) => void): void {
    for (const data of this.#messages) pass({ data });
  }
}

/** The end of a WebSocket: it comes with the end of both sides, or a while after that of one. */
class Ending {
  readonly #ended = Promise.withResolvers<void>();
  readonly #clock: Clock;
  #open = 2;
  #stopWaiting: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** A side has been told to close. */
  begin(): void {
    // The platform waits for the answer without a limit, and a lease must not.
    this.#stopWaiting ??= this.#clock.after(PATIENCE_MS, () => this.#ended.resolve());
  }

  /** A side has closed. */
  sideClosed(): void {
    this.begin();
    if (--this.#open > 0) return;
    this.#stopWaiting?.();
    this.#ended.resolve();
  }
}

/** Passes messages on, up to a bound on what the receiver leaves lying; returns how. */
function relay(from: WebSocket, to: WebSocket, ending: Ending): (event: { data: MessageEvent["data"] }) => void {
  const pass = ({ data }: { data: MessageEvent["data"] }) => {
    if (to.readyState !== WebSocket.OPEN) return;
    to.send(data);
    if (to.bufferedAmount > MOST_BUFFERED) {
      from.onmessage = null;
      close(from, TOO_BIG, "the receiver is too slow");
      close(to, TOO_BIG, "too much is waiting");
      ending.begin();
    }
  };
  from.onmessage = pass;
  return pass;
}

/** Closes the other side as soon as this one has closed, and in the same way. */
function closeTogether(side: WebSocket, other: WebSocket, ending: Ending): void {
  side.onerror = () => {}; // a close event follows
  side.onclose = ({ code, reason }) => {
    // What it had to say comes first.
    if (other.readyState === WebSocket.CONNECTING) other.addEventListener("open", () => close(other, code, reason));
    else close(other, code, reason);
    ending.sideClosed();
  };
}

/** Closes with that code or, where the platform cannot send it, with the nearest that it can. */
function close(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState >= WebSocket.CLOSING) return;
  // 1005 means that no code was sent, 0 and 1006 that the connection broke: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
  if (code === 1005) return socket.close();
  const sent = code === 0 || code === 1006 ? UNEXPECTED : code;
  try {
    socket.close(sent, reason);
  } catch {
    socket.close(3000 + sent, reason); // towards an app, only 1000 and 3000 to 4999 can be sent
  }
}

/** Resolves when the app has agreed, with nothing, or has refused, with its status. */
function opened(app: WebSocket, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      finish();
      app.onopen = () => app.close();
      app.onerror = null;
      app.close();
      reject(signal.reason);
    };
    const finish = () => signal.removeEventListener("abort", giveUp);
    signal.addEventListener("abort", giveUp, { once: true });
    app.onopen = () => {
      finish();
      resolve(undefined);
    };
    app.onerror = (event) => {
      event.preventDefault();
      finish();
      const message = event instanceof ErrorEvent ? event.message : "";
      const status = Number(/Invalid status code: (\d{3})/.exec(message)?.[1]);
      if (status >= 200 && status <= 599) resolve(status);
      else reject(new ForwardError(/connect error/.test(message) ? "unsent" : "unanswered", message));
    };
  });
}

function splitList(list: string | null): string[] {
  return (list ?? "").split(",").map((item) => item.trim()).filter(Boolean);
}
