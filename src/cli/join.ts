import { type Config, readConfig } from "../base/config.ts";
import { messageOf, OperatorError, UsageError } from "../base/errors.ts";
import { writeAtomically } from "../base/atomic_file.ts";
import { openDataDir } from "../control/data_dir.ts";
import { chooseEngineApi, findEngine } from "../docker/engine_choice.ts";
import { EngineError } from "../docker/engine_error.ts";
import { SocketClient } from "../docker/socket_client.ts";
import { joinSwarm, type Membership, membershipOf, OPEN_PORTS } from "../docker/swarm/swarm_join.ts";
import { keepIdentity } from "../peers/identity.ts";
import { type JoinToken, parseJoinToken } from "../peers/join_token.ts";
import { SqliteStore } from "../sqlite/store.ts";
import { flag } from "./flags.ts";
import { serve } from "./serve.ts";
import { printResult, QUIET_FLAG, type Verb } from "./verb.ts";

const ENGINE_TIMEOUT_MS = 10_000;

/** `cless join`: makes this machine one of the machines of another cless. */
export const join: Verb = {
  name: "join",
  summary: "Make this machine a node of the Swarm of another cless",
  args: ["TOKEN"],
  flags: [
    flag("--manager-node", "Make it a manager of the Swarm; three or five managers outlive the loss of one or two"),
    flag("--advertise ADDRESS", "The address at which the other machines reach this one, if it has several"),
    ...serve.flags.filter(({ name }) => ["data-dir", "docker"].includes(name)),
    QUIET_FLAG,
  ],
  notes: [
    "cless nodes --join-token prints the token on a machine where cless runs with --engine swarm. With - instead of TOKEN it is read from standard input, so that neither the shell nor the list of processes shows it.",
    "If the machine is in that Swarm already, only the data-dir is made.",
  ],
  example: ["sudo cless join cless-join-eyJ…", "cless nodes --join-token | ssh other sudo cless join -"],
  run: async (call) => {
    const token = await readToken(call.args[0]!);
    const config = readConfig(call.flags, call.surroundings);
    const choice = await chooseEngineApi(config);
    using api = choice.api;
    if (choice.socket === undefined) {
      throw new OperatorError(`a Swarm needs the socket of the Docker engine: ${choice.whyNotSocket}`);
    }
    await findEngine(api, { timeoutMs: ENGINE_TIMEOUT_MS });
    using engine = new SocketClient(choice.socket);
    const membership = await checked(membershipOf(engine));
    // Checked before anything changes. The lock is held until all is done.
    const { adminTokenMadeAt: tokenMadeAt, adminToken, owner } = token;
    using dataDir = await openDataDir(config.dataDir, true, { owner, token: adminToken, tokenMadeAt });
    const role = call.on("manager-node") ? "manager" : "worker";
    const isMember = isOfThisSwarm(membership, token);
    if (isMember && role === "manager" && !membership.isManager) {
      throw new OperatorError(
        "this machine is a worker of the Swarm already; make it a manager with docker node promote on a manager, then " +
          "join again",
      );
    }
    if (!isMember) await enter(engine, token, { role, advertise: call.text("advertise") });
    keepIdentity(dataDir.path, token.identity);
    writeAtomically(`${dataDir.path}/secret-key`, `${token.secretKey}\n`);
    if (dataDir.isNew) {
      using store = SqliteStore.open(dataDir.path);
      if (store.olderImages() === undefined) store.putOlderImages([]);
      dataDir.settle();
    }
    const isManager = isMember ? membership.isManager : role === "manager";
    const done = isMember ? "this machine is in the Swarm already" : `this machine has joined the Swarm as a ${role}`;
    printResult(
      call,
      {},
      `${done}; the data-dir is ${dataDir.path}\nstart cless here: ${serveCommand(config, token, isManager)}`,
    );
  },
};

/** @param text The token, or `-` for standard input. */
async function readToken(text: string): Promise<JoinToken> {
  try {
    return parseJoinToken(text === "-" ? await new Response(Deno.stdin.readable).text() : text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`this is no token to join: ${messageOf(error)}; cless nodes --join-token prints one`);
  }
}

/**
 * Whether the machine is in the token's Swarm; false if it is in none. @throws {OperatorError} If it is in another one,
 * or if that is not known.
 */
function isOfThisSwarm({ managers, state }: Membership, token: JoinToken): boolean {
  if (state === "inactive") return false;
  if (state === "locked") {
    throw new OperatorError("the Swarm of this machine is locked; unlock it with docker swarm unlock, then join again");
  }
  if (state !== "active") {
    throw new OperatorError(
      `this machine is not rightly in a Swarm (${state}); wait, or leave it with docker swarm leave --force, then join again`,
    );
  }
  const isSame = token.managers.some(({ nodeId }) => managers.includes(nodeId));
  if (isSame) return true;
  throw new OperatorError(
    "this machine is in another Swarm; leave that with docker swarm leave --force, then join again, or get a new token " +
      "if the managers are others by now",
  );
}

async function enter(
  engine: SocketClient,
  token: JoinToken,
  options: { readonly role: "worker" | "manager"; readonly advertise: string | undefined },
): Promise<void> {
  const invitation = { managers: token.managers, tokens: token.swarm };
  try {
    await joinSwarm(engine, invitation, options);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const { message } = error;
    const managers = token.managers.map(({ address }) => address).join(", ");
    const remedy = /address to advertise|advertise-addr|IP address/i.test(message)
      ? "name the address at which the other machines reach this one with --advertise"
      : `the ports ${OPEN_PORTS} must be open between the machines`;
    throw new OperatorError(`cannot join the Swarm at ${managers}: ${message}; ${remedy}`);
  }
}

async function checked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof EngineError ? new OperatorError(`the Docker engine refuses: ${error.message}`) : error;
  }
}

/** What starts cless on this machine. */
function serveCommand({ dataDir, sources }: Config, { peers }: JoinToken, isManager: boolean): string {
  const managers = isManager ? [] : peers.map((peer) => `--manager ${peer}`);
  const folder = sources.has("data-dir") ? [`--data-dir ${dataDir}`] : [];
  return ["cless serve --engine swarm", ...managers, ...folder].join(" ");
}
