import type { Cluster } from "../../swarm/cluster.ts";

/** How often each node is asked. */
const LOOK_MS = 300;

/** Looks at how many containers of a service run at the same time, on all nodes together. */
export class VolumeWatch implements AsyncDisposable {
  /** The most that have been seen. */
  most = 0;
  /** How often was looked. */
  looks = 0;
  readonly #ended = new AbortController();
  readonly #watching: Promise<void>;

  constructor(cluster: Cluster, service: string) {
    this.#watching = this.#watch(cluster, service);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#watching;
  }

  async #watch(cluster: Cluster, service: string): Promise<void> {
    const filters = ["--filter", `label=cless.service=${service}`];
    while (!this.#ended.signal.aborted) {
      const running = await Promise.all(cluster.nodes.all.map(async (node) => {
        const ids = await node.docker("ps", "--quiet", ...filters).catch(() => ""); // of an engine that is gone
        return ids.split("\n").filter(Boolean).length;
      }));
      this.looks++;
      this.most = Math.max(this.most, running.reduce((sum, count) => sum + count, 0));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
