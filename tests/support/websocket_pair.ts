import { Harness, type HarnessOptions } from "./harness.ts";
import type { HttpMessage } from "./http_message.ts";
import { Origin, type OriginConnection } from "./origin.ts";
import { RawClient, requestText } from "./raw_client.ts";
import { acceptance, asking, WebSocketPeer } from "./websocket_peer.ts";

/** A client and an app that are connected by a WebSocket through cless. */
export interface WebSocketPair extends AsyncDisposable {
  readonly cless: Harness;
  readonly client: WebSocketPeer;
  readonly app: WebSocketPeer;
  /** The client's answer to its request. */
  readonly answer: HttpMessage;
  /** What the app was asked. */
  readonly request: HttpMessage;
  /** The client is gone from one moment to the next. */
  dropClient(): void;
  /** The app is gone from one moment to the next. */
  dropApp(): void;
}

/** Connects both. */
export async function connectPair(
  headers: readonly string[] = [],
  appHeaders: readonly string[] = [],
  options: HarnessOptions = {},
): Promise<WebSocketPair> {
  const accepted = Promise.withResolvers<[OriginConnection, HttpMessage]>();
  const finished = Promise.withResolvers<void>();
  const origin = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? "", appHeaders));
    accepted.resolve([connection, request!]);
    await finished.promise;
  });
  const cless = await Harness.warm({ ...options, origin });
  const wire = await cless.connect();
  await wire.send(requestText("GET /chat?room=1", [...asking(), ...headers]));
  const [connection, request] = await accepted.promise;
  const answer = await wire.answer();
  return {
    cless,
    client: new WebSocketPeer(wire, "client"),
    app: new WebSocketPeer(connection, "app"),
    answer,
    request,
    dropClient: () => wire[Symbol.dispose](),
    dropApp: () => connection.close(),
    async [Symbol.asyncDispose]() {
      finished.resolve();
      wire[Symbol.dispose]();
      connection.close();
      await cless.idle();
      await cless[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** Asks an app that behaves in its own way for a WebSocket; returns the client's side. */
export async function askFor(cless: Harness, headers: readonly string[] = asking()): Promise<RawClient> {
  const client = await cless.connect();
  await client.send(requestText("GET /", headers));
  return client;
}
