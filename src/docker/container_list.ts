import { type DockerCommand, jsonLines } from "./command.ts";
import type { EngineSocket } from "./engine_socket.ts";
import { LABEL } from "./run_args.ts";

/** A container of this cless, as the engine lists it. */
export interface Listed {
  /** Its name. */
  readonly id: string;
  /** The name that the engine itself has given it, 64 hex digits. */
  readonly engineId: string;
  readonly service: string;
  readonly revision: string;
  readonly imageId: string;
  /** In the engine's words. */
  readonly state: string;
  /** For people: since when it has been up, or how it has ended. */
  readonly status: string;
  readonly address: string;
  readonly origin: string;
}

/** A container as the engine's API lists it, as far as it matters here. */
interface ApiContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  readonly Status: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** The list of the containers of one owner, ended ones too. */
export class ContainerList {
  readonly #docker: DockerCommand;
  readonly #owner: string;
  readonly #socket: EngineSocket | undefined;

  /** @param socket Is asked first, where there is one. */
  constructor(docker: DockerCommand, owner: string, socket?: EngineSocket) {
    this.#docker = docker;
    this.#owner = owner;
    this.#socket = socket;
  }

  /** @throws {DockerError} When the engine refuses. */
  async read(): Promise<Listed[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [`${LABEL.owner}=${this.#owner}`] }));
    const answer = await this.#socket?.get(`/containers/json?all=true&filters=${filters}`);
    return answer === undefined ? await this.#ask() : (answer as ApiContainer[]).map(listed);
  }

  async #ask(): Promise<Listed[]> {
    const output = await this.#docker.run([
      "ps",
      "--all",
      "--no-trunc",
      `--filter=label=${LABEL.owner}=${this.#owner}`,
      `--format={"id":{{json .Names}},"engineId":{{json .ID}},"state":{{json .State}},"status":{{json .Status}},` +
      `"service":{{json (.Label "${LABEL.service}")}},"revision":{{json (.Label "${LABEL.revision}")}},` +
      `"imageId":{{json (.Label "${LABEL.image}")}},"address":{{json (.Label "${LABEL.address}")}},` +
      `"origin":{{json (.Label "${LABEL.origin}")}}}`,
    ]);
    return jsonLines<Listed>(output, "id", "state", "origin");
  }
}

function listed({ Id, Labels, Names, State, Status }: ApiContainer): Listed {
  const label = (name: string) => Labels[name] ?? "";
  return {
    id: Names[0]?.replace(/^\//, "") ?? Id, // one that is being removed has no name any more
    engineId: Id,
    service: label(LABEL.service),
    revision: label(LABEL.revision),
    imageId: label(LABEL.image),
    state: State,
    status: Status,
    address: label(LABEL.address),
    origin: label(LABEL.origin),
  };
}
