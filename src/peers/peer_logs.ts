import { linesOf } from "../base/streams.ts";
import type { OtherLogs } from "../logs/cluster_logs.ts";
import type { ServiceLogLine } from "../logs/instance_output.ts";
import type { ServiceLogOptions, ServiceLogs } from "../logs/service_logs.ts";
import type { Members } from "./members.ts";
import type { StreamHandlers } from "./messages.ts";
import type { PeerClient } from "./peer_client.ts";
import { PeerAway } from "./peer_error.ts";

const encoder = new TextEncoder();

/** What {@linkcode PeerLogs} is made from. */
export interface PeerLogsOptions {
  /** The node of this process. */
  readonly nodeId: string;
  /** The logs of this machine. */
  readonly own: Pick<ServiceLogs, "read">;
  readonly members: Pick<Members, "live" | "lost">;
  readonly client: Pick<PeerClient, "open">;
  /** The machines of the Swarm. */
  readonly nodes: () => Promise<readonly { readonly id: string; readonly hostname: string }[]>;
}

/** The logs of the machines of the other cless processes, each by the id of its node. */
export class PeerLogs implements OtherLogs {
  readonly #options: PeerLogsOptions;

  constructor(options: PeerLogsOptions) {
    this.#options = options;
  }

  /** What answers the other machines with the lines of this one, each as JSON. */
  get streams(): Pick<StreamHandlers, "log-lines"> {
    return {
      "log-lines": ({ service, ...options }, signal) =>
        Promise.resolve(ReadableStream.from(linesOn(this.#options.own.read(service, { ...options, signal })))),
    };
  }

  get machines(): readonly string[] {
    const { members, nodeId: own } = this.#options;
    return [...members.live, ...members.lost].filter((nodeId) => nodeId !== own);
  }

  async *read(
    nodeId: string,
    service: string,
    { signal, ...options }: ServiceLogOptions,
  ): AsyncGenerator<ServiceLogLine, void, void> {
    const { client, members } = this.#options;
    if (members.lost.includes(nodeId)) throw new PeerAway("nothing is heard of its cless");
    const body = await client.open(nodeId, "log-lines", { service, ...options }, signal);
    for await (const line of linesOf(body, signal)) yield JSON.parse(line) as ServiceLogLine;
  }

  async nameOf(nodeId: string): Promise<string> {
    const nodes = await this.#options.nodes().catch(() => []);
    return nodes.find(({ id }) => id === nodeId)?.hostname ?? nodeId;
  }
}

async function* linesOn(lines: AsyncIterable<ServiceLogLine>): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for await (const line of lines) yield encoder.encode(`${JSON.stringify(line)}\n`);
}
