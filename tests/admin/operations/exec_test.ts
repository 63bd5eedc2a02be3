import { assert, assertEquals } from "@std/assert";
import { bytesMessage, KIND, resizeMessage, takenMessage, WINDOW_BYTES } from "../../../src/control/exec/messages.ts";
import { netTest } from "../../support/permissions.ts";
import { RawClient } from "../../support/raw_client.ts";
import { turns, until } from "../../support/until.ts";
import { type Admin, newAdmin, OWNER, problemOf } from "../kit.ts";

const UPGRADE = { upgrade: "websocket" };
const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];

/** An API with the service `web`, whose instances start at once, on a port of this machine. */
async function newScene() {
  const admin = await newAdmin();
  admin.kit.launcher.on.launch = () => ({ origin: "http://10.0.0.2:8080" });
  await admin.ask("PUT", "/v1/services/web", { body: { image: "web" } });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr }) => admin.handle(request, remoteAddr.hostname),
  );
  return { admin, port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** A client that keeps what it gets, and takes all of it at once unless the test says otherwise. */
class Client {
  readonly socket: WebSocket;
  readonly messages: [kind: number, text: string][] = [];
  readonly closed = Promise.withResolvers<number>();
  bytes = 0;
  takes = true;
  closes = true;

  constructor(port: number, query = "command=ls", headers: HeadersInit = { authorization: `Bearer ${OWNER}` }) {
    const options: unknown = { headers };
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/v1/services/web/exec?${query}`, options as string[]);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.#receive(new Uint8Array(data));
    this.socket.onclose = ({ code }) => this.closed.resolve(code);
    this.socket.onerror = () => {};
  }

  get end(): unknown {
    return JSON.parse(this.messages.find(([kind]) => kind === KIND.exit)![1]);
  }

  async send(...messages: Uint8Array<ArrayBuffer>[]): Promise<void> {
    await until(() => this.socket.readyState === WebSocket.OPEN);
    for (const message of messages) this.socket.send(message);
  }

  #receive(message: Uint8Array): void {
    const [kind, content] = [message[0]!, message.subarray(1)];
    if (kind === KIND.stdout || kind === KIND.stderr) {
      this.bytes += content.length;
      if (this.takes) this.socket.send(takenMessage(content.length));
    }
    if (content.length < 1000) this.messages.push([kind, decoder.decode(content)]);
    if (kind === KIND.exit && this.closes) this.socket.close(1000);
  }
}

function stdin(text: string): Uint8Array<ArrayBuffer> {
  return bytesMessage(KIND.stdin, encoder.encode(text));
}

netTest(
  "a session wakes the service, passes both outputs and the input on, and ends with the command's code",
  async () => {
    await using scene = await newScene();
    const { admin: { exec }, port } = scene;
    const client = new Client(port, "command=ls&command=-l&command=a+b&user=root");
    await client.send(stdin("early "));
    const process = await exec.next();
    process.say("out");
    process.say(new Uint8Array([33]), "stderr");
    await client.send(stdin("input"), stdin(""));
    await until(() => process.inputEnded);
    process.end(7);
    assertEquals(await client.closed.promise, 1000);
    assertEquals(process.text, "early input");
    assertEquals(exec.calls, [{ id: "one", command: ["ls", "-l", "a b"], user: "root", terminal: undefined }]);
    assertEquals(client.messages, [
      [KIND.started, '{"instance":"one","revision":"web-00001"}'],
      [KIND.stdout, "out"],
      [KIND.stderr, "!"],
      [KIND.exit, '{"code":7}'],
    ]);
  },
);

netTest("a terminal has the size that was asked for, and each new one", async () => {
  await using scene = await newScene();
  const { admin: { exec }, port } = scene;
  const client = new Client(port, "tty=true&columns=97&rows=31");
  await client.send(resizeMessage({ columns: 100, rows: 40 }));
  const process = await exec.next();
  await until(() => process.sizes.length === 1);
  await client.send(resizeMessage({ columns: 132, rows: 50 }), resizeMessage({ columns: 0, rows: 50 }));
  await until(() => process.sizes.length === 2);
  process.end(0);
  await client.closed.promise;
  assertEquals(process.command.terminal, { columns: 97, rows: 31 });
  assertEquals(process.sizes, [{ columns: 100, rows: 40 }, { columns: 132, rows: 50 }]);
  const usual = new Client(port, "tty=true");
  const other = await exec.next();
  assertEquals([other.command.terminal, other.command.command[0]], [{ columns: 80, rows: 24 }, "sh"]);
  other.end(0);
  await usual.closed.promise;
});

netTest(
  "the client closes the connection after the end; cless does once nothing has come for five seconds",
  async () => {
    await using scene = await newScene();
    const { admin: { exec, kit: { clock } }, port } = scene;
    const client = new Client(port);
    client.closes = client.takes = false;
    const process = await exec.next();
    process.say("out");
    process.end(0);
    await until(() => client.messages.some(([kind]) => kind === KIND.exit));
    await clock.advance(4999);
    await client.send(takenMessage(3));
    await turns(20);
    await clock.advance(4999);
    assertEquals(client.socket.readyState, WebSocket.OPEN);
    await clock.advance(1);
    assertEquals(await client.closed.promise, 1000);
  },
);

netTest("no more output is sent than the window has until the client has taken some", async () => {
  await using scene = await newScene();
  const { admin: { exec }, port } = scene;
  const client = new Client(port);
  client.takes = false;
  const process = await exec.next();
  for (let n = 0; n < 40; n++) process.say(new Uint8Array(100_000));
  process.end(0);
  await until(() => client.bytes > WINDOW_BYTES - 65_536);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert(client.bytes <= WINDOW_BYTES, `${client.bytes}`);
  client.takes = true;
  await client.send(takenMessage(client.bytes));
  await client.closed.promise;
  assertEquals([client.bytes, client.end], [4_000_000, { code: 0 }]);
});

netTest(
  "input that a command does not read is not reported as taken, and more of it than the window ends the session",
  async () => {
    await using scene = await newScene();
    const { admin: { exec, kit }, port } = scene;
    const client = new Client(port);
    const process = await exec.next();
    const reading = Promise.withResolvers<void>();
    process.onWrite = () => reading.promise;
    const piece = bytesMessage(KIND.stdin, new Uint8Array(65_536));
    await client.send(...Array<Uint8Array<ArrayBuffer>>(16).fill(piece));
    await until(() => kit.fleet.get("one")!.sessions === 1);
    assertEquals(client.messages.filter(([kind]) => kind === KIND.taken), []);
    await client.send(bytesMessage(KIND.stdin, new Uint8Array(1)));
    assertEquals(await client.closed.promise, 4400);
    reading.resolve();
    await until(() => process.disposed && kit.fleet.get("one")!.sessions === 0);
  },
);

netTest("input that is read is reported as taken, and a command that reads no more gets no more", async () => {
  await using scene = await newScene();
  const { admin: { exec }, port } = scene;
  const client = new Client(port);
  const process = await exec.next();
  const piece = bytesMessage(KIND.stdin, new Uint8Array(65_536));
  await client.send(piece);
  await until(() => client.messages.some(([kind]) => kind === KIND.taken));
  process.onWrite = () => Promise.reject(new Error("broken pipe"));
  await client.send(piece);
  await until(() => client.messages.filter(([kind]) => kind === KIND.taken).length === 2);
  assertEquals(process.written.length, 1);
  process.end(0);
  await client.closed.promise;
});

netTest("a message against the rules ends the session", async () => {
  await using scene = await newScene();
  const { admin: { exec, kit }, port } = scene;
  for (const message of [new Uint8Array(), new Uint8Array([9]), new Uint8Array([KIND.taken, 1])]) {
    const client = new Client(port);
    const process = await exec.next();
    await client.send(message);
    assertEquals(await client.closed.promise, 4400);
    await until(() => process.disposed);
  }
  const client = new Client(port);
  await exec.next();
  await until(() => client.socket.readyState === WebSocket.OPEN);
  client.socket.send("text");
  assertEquals(await client.closed.promise, 4400);
  await until(() => kit.fleet.get("one")!.sessions === 0);
});

netTest("a client that goes ends the session, and its command gets no more input", async () => {
  await using scene = await newScene();
  const { admin: { exec, kit }, port } = scene;
  const client = new Client(port);
  const process = await exec.next();
  await until(() => client.messages.length > 0);
  client.socket.close();
  await client.closed.promise;
  await until(() => process.disposed && kit.fleet.get("one")!.inUse === 0);
});

netTest("a service that does not start tells why, with the last lines of its app", async () => {
  await using scene = await newScene();
  const { admin: { kit: { launcher } }, port } = scene;
  launcher.written = "first\nlast\n";
  launcher.on.launch = () => {
    throw new Error("no memory");
  };
  const client = new Client(port);
  await client.closed.promise;
  assertEquals(client.end, {
    code: 125,
    reason: "the revision web-00001 did not become ready: no memory",
    output: ["first", "last"],
  });
});

netTest("only a bearer token with the scope admin opens a session, and no page of another site does", async () => {
  await using scene = await newScene();
  const { admin, port } = scene;
  const refused = async (headers: Record<string, string>) => {
    using raw = await RawClient.connect(port);
    const all = { host: `127.0.0.1:${port}`, ...handshake(), ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    return (await raw.ask(`GET /v1/services/web/exec HTTP/1.1\r\n${lines.join("")}\r\n`)).status;
  };
  const authorization = `Bearer ${OWNER}`;
  assertEquals(await refused({}), 401);
  assertEquals(await refused({ authorization: "Bearer wrong" }), 401);
  assertEquals(await refused({ authorization: `Bearer ${admin.tokens.read}` }), 403);
  assertEquals(await refused({ authorization: `Bearer ${admin.tokens.deploy}` }), 403);
  assertEquals(await refused({ authorization, origin: "http://evil.example" }), 403);
  assertEquals(await refused({ authorization, host: "evil.example" }), 403);
  assertEquals(admin.exec.calls, []);
});

/** The headers of a WebSocket's request: RFC 6455, section 1.2. */
function handshake() {
  return {
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
}

Deno.test("the session of a browser opens none, not even from the dashboard's own page", async () => {
  const admin = await newAdmin();
  await admin.ask("PUT", "/v1/services/web", { body: { image: "web" } });
  const page = { host: "localhost:1323", origin: "http://localhost:1323" };
  const signedIn = await admin.ask("POST", "/v1/session", { token: undefined, body: { token: OWNER }, headers: page });
  await signedIn.body?.cancel();
  const cookie = signedIn.headers.get("set-cookie")!.split(";")[0]!;
  const ask = (path: string, headers: Record<string, string>) =>
    admin.ask("GET", path, { token: undefined, headers: { ...page, cookie, ...headers } });
  assertEquals((await ask("/v1/services/web", {})).status, 200);
  for (const more of [{}, { authorization: "Basic YTpi" }, { authorization: "Bearer" }]) {
    const answer = await ask("/v1/services/web/exec?command=ls", { ...handshake(), ...more });
    const detail = await problemOf(answer, 403, "forbidden");
    assertEquals(detail, "Commands are run with a bearer token only, not with the session of a browser");
  }
  assertEquals(admin.exec.calls, []);
});

Deno.test("what is wrong is refused before the upgrade, with the reason", async () => {
  const admin: Admin = await newAdmin();
  await admin.ask("PUT", "/v1/services/web", { body: { image: "web" } });
  const detail = async (path: string, status: number, code: string, headers: Record<string, string> = UPGRADE) =>
    await problemOf(await admin.ask("GET", `/v1/services/${path}`, { headers }), status, code);
  assertEquals(await detail("shop/exec", 404, "not_found"), "there is no service shop");
  const upgrade = "Upgrade: must be websocket; what is between the client and cless may not pass it on";
  assertEquals(await detail("web/exec", 400, "invalid", {}), upgrade);
  const version = "Upgrade: must come with a handshake of WebSocket, version 13";
  assertEquals(await detail("web/exec", 400, "invalid"), version);
  assertEquals(await detail("web/exec?command=&command=-l", 400, "invalid"), "command: must begin with a program");
  assertEquals(await detail("web/exec?user=a+b", 400, "invalid"), "user: must be a user such as root or 1000:1000");
  assertEquals(await detail("web/exec?tty=true&tty=true", 400, "invalid"), "tty: is given twice");
  assertEquals(await detail("web/exec?columns=0", 400, "invalid"), "columns: must be a whole number from 1 to 65535");
  await detail("web/exec?instance=nosuch", 404, "not_found");
  await detail("web/exec?revision=web-00009", 404, "not_found");
});

Deno.test("while cless stops there are no new sessions", async () => {
  const admin = await newAdmin({ stopping: AbortSignal.abort() });
  const answer = await admin.ask("GET", "/v1/services/web/exec", { headers: UPGRADE });
  assertEquals(await problemOf(answer, 503, "draining"), "cless is shutting down");
});
