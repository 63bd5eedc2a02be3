import { z } from "zod";
import { ClessError, shuttingDown } from "../../base/errors.ts";
import { InvalidError } from "../../control/schema/invalid.ts";
import { MAX_PIECE_BYTES, WINDOW_BYTES } from "../../control/exec/messages.ts";
import { EXEC_CODE, type ExecEnd } from "../../control/exec/process.ts";
import type { Collaborators } from "../collaborators.ts";
import { flag, revisionParam, serviceParam, whole } from "../common_fields.ts";
import { ExecSocket } from "../exec_socket.ts";
import { tagged } from "../operation.ts";
import { problemOf } from "../problems.ts";

const operation = tagged("exec");
/** A client that answers no ping for this long is gone. */
const IDLE_TIMEOUT_S = 60;
const MAX_CELLS = 65_535;
const [window, piece] = [WINDOW_BYTES / 1024, MAX_PIECE_BYTES / 1024];

/** Commands in instances. */
export function execOperations({ clock, exec, stopping }: Collaborators) {
  return [
    operation({
      id: "exec",
      route: "GET /v1/services/{name}/exec",
      scope: "admin",
      summary: "Run a command in an instance of a service",
      description:
        "A WebSocket. The service is woken if it sleeps, and its instance stays awake until the session ends. Messages " +
        "are binary: a byte with the kind, then the content. The client sends 0, bytes for the standard input, none for " +
        "its end, and 6, the columns and rows of the terminal in 16 bits each. It gets 3, JSON with `instance` and " +
        "`revision`, once the command runs; 1 and 2, bytes of the standard output and error, with a terminal all as 1; " +
        "and at the end 4, JSON with the exit `code`, with a `reason` if the command was not run or the session was cut " +
        "off (125 to 127, as docker has them, or 137), and the `output` of an app that did not start. Both send 5, in 32 " +
        "bits, how many more bytes of data they have taken. Neither side sends more than " +
        `${window} KiB of data beyond what the other has taken, or more than ${piece} KiB in a message. Numbers are ` +
        "big-endian. A session cannot be opened with the cookie of a browser's session.",
      params: { name: serviceParam },
      query: {
        command: z.array(z.string().max(60_000)).max(1000).optional().meta({
          description: "The program and its arguments, one each; by default bash if the image has it, else sh",
          examples: [["ls", "-l"]],
        }),
        tty: flag(false, "Whether the command has a terminal"),
        columns: whole(1, MAX_CELLS, { description: "The width of the terminal, 80 by default" }).optional(),
        rows: whole(1, MAX_CELLS, { description: "The height of the terminal, 24 by default" }).optional(),
        user: z.string().regex(/^[\w.:@-]{1,100}$/, "must be a user such as root or 1000:1000").optional().meta({
          pattern: "^[A-Za-z0-9_.:@-]{1,100}$",
          description: "As whom it runs; by default the user of the container",
        }),
        instance: z.string().regex(/^[a-z0-9-]{1,200}$/, "must be the id of an instance").optional().meta({
          pattern: "^[a-z0-9-]{1,200}$",
          description: "In which instance; by default the one with the fewest requests",
        }),
        revision: revisionParam.optional().meta({
          description: "In an instance of which revision; by default the one with the largest share of the traffic",
        }),
      },
      answers: { 101: { description: "The connection is a WebSocket now" } },
      errors: ["not_found", "conflict", "overloaded", "store_unavailable"],
      run: async ({ holder, request, params: { name }, query }) => {
        checkToken(request);
        const { columns = 80, command = [], instance, revision, rows = 24, tty, user } = query;
        if (command[0] === "") throw new InvalidError(["command"], "must begin with a program");
        if (stopping.aborted) throw shuttingDown();
        const place = await exec.find(name, { instance, revision });
        checkUpgrade(request);
        const { response, socket } = upgrade(request);
        const client = new ExecSocket(socket, clock);
        const wanted = { command, user, terminal: tty ? { columns, rows } : undefined, by: holder.name };
        serve(client, async () => await exec.run(place, wanted, client));
        return response;
      },
    }),
  ];
}

/**
 * Refuses the session of a browser. Browsers send cookies by themselves, and any page can open a WebSocket, but it can
 * set no header. @throws {ClessError} `forbidden`
 */
function checkToken({ headers }: Request): void {
  if (/^Bearer +\S+$/i.test(headers.get("authorization") ?? "")) return;
  throw new ClessError("forbidden", "Commands are run with a bearer token only, not with the session of a browser");
}

/** @throws {InvalidError} If a request cannot become a WebSocket. */
function checkUpgrade({ headers }: Request): void {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new InvalidError(["Upgrade"], "must be websocket; what is between the client and cless may not pass it on");
  }
}

/** @throws {InvalidError} If it is not a good handshake. */
function upgrade(request: Request): Deno.WebSocketUpgrade {
  try {
    return Deno.upgradeWebSocket(request, { idleTimeout: IDLE_TIMEOUT_S });
  } catch {
    throw new InvalidError(["Upgrade"], "must come with a handshake of WebSocket, version 13");
  }
}

/** Runs a session, and tells the client how it ended. */
async function serve(client: ExecSocket, run: () => Promise<ExecEnd>): Promise<void> {
  await client.opened();
  client.end(await run().catch(failureOf));
}

/** How a session ends for a reason that would otherwise be the answer to a request. */
async function failureOf(error: unknown): Promise<ExecEnd> {
  const { detail, output } = await (await problemOf(error)).json();
  return { code: EXEC_CODE.failed, problem: detail, ...(Array.isArray(output) ? { output } : {}) };
}
