import { SocketClient } from "../../../src/docker/socket_client.ts";
import { placementOf } from "../../../src/docker/swarm/placement.ts";
import { serviceBody } from "../../../src/docker/swarm/service_spec.ts";
import type { Revision } from "../../../src/model/revision.ts";
import type { Node, Nodes } from "../../swarm/nodes.ts";
import { checkAnswer } from "../support/app.ts";
import { BenchError } from "../support/errors.ts";
import { untilAnswer } from "../support/http_client.ts";

/** One that cless gives to no instance, so that its rules leave it open to this machine. */
const PORT = 19_999;
/** How often Swarm is asked whether the task runs: it tells nobody by itself. */
const LOOK_MS = 5;
/** A task that has not come or gone after this time never will. */
const PATIENCE_MS = 30_000;

/** What `GET /tasks` says of a task. */
interface ApiTask {
  readonly NodeID?: string;
  readonly Status: { readonly State: string };
}

/** A service of Swarm as cless makes them, which is scaled from no task to one and back by the API alone. */
export class BareTask implements Disposable {
  readonly #client: SocketClient;
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #id: string;

  private constructor(client: SocketClient, addresses: ReadonlyMap<string, string>, id: string) {
    this.#client = client;
    this.#addresses = addresses;
    this.#id = id;
  }

  /** Makes the service, without a task. @param manager Who is asked. */
  static async create(nodes: Nodes, manager: Node, app: Revision, name: string): Promise<BareTask> {
    const client = new SocketClient(manager.engineSocket);
    const listed: { ID: string; Status: { Addr: string } }[] = JSON.parse(await client.ask("GET", "/nodes"));
    const addresses = new Map(nodes.all.flatMap(({ address }) => {
      const node = listed.find(({ Status }) => Status.Addr === address);
      return node === undefined ? [] : [[node.ID, address]];
    }));
    const plan = { name, owner: "bench", image: app.imageId, placement: placementOf({}), nodePort: PORT, reserved: {} };
    const body = { ...serviceBody(app, plan), Mode: { Replicated: { Replicas: 0 } } };
    const { ID } = JSON.parse(await client.ask("POST", "/services/create", { body }));
    return new BareTask(client, addresses, ID);
  }

  /**
   * Starts the task, and asks the app once it runs.
   *
   * @returns From the update to the answer, ms.
   * @throws {BenchError} When there is none.
   */
  async start(signal: AbortSignal): Promise<number> {
    const began = performance.now();
    await this.#scale(1);
    const [task] = await this.#until(([task]) => task?.Status.State === "running");
    const url = `http://${this.#addresses.get(task!.NodeID!)}:${PORT}/`;
    const answer = await untilAnswer(url, () => true, () => signal.throwIfAborted());
    const tookMs = performance.now() - began;
    checkAnswer(answer, "the task itself");
    return tookMs;
  }

  /** Ends the task; resolves when its container has ended. */
  async stop(): Promise<void> {
    await this.#scale(0);
    await this.#until((tasks) => tasks.length === 0);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #scale(replicas: number): Promise<void> {
    const { Spec, Version } = JSON.parse(await this.#client.ask("GET", `/services/${this.#id}`));
    const body = { ...Spec, Mode: { Replicated: { Replicas: replicas } } };
    await this.#client.ask("POST", `/services/${this.#id}/update?version=${Version.Index}`, { body });
  }

  /** Waits until the tasks that are there, or are to be, are so. */
  async #until(isSo: (tasks: readonly ApiTask[]) => boolean): Promise<readonly ApiTask[]> {
    const filters = encodeURIComponent(JSON.stringify({ service: [this.#id] }));
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end;) {
      const all: ApiTask[] = JSON.parse(await this.#client.ask("GET", `/tasks?filters=${filters}`));
      const tasks = all.filter(({ Status: { State } }) => !/^(complete|failed|shutdown|remove|orphaned)$/.test(State));
      if (isSo(tasks)) return tasks;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new BenchError(`Swarm has not scaled a service within ${PATIENCE_MS / 1000} s`);
  }
}
