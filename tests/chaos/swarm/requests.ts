import { BenchError } from "../../bench/support/errors.ts";
import { Harms } from "../../support/harms.ts";
import type { Cluster } from "../../swarm/cluster.ts";
import { usualFlows } from "../disruption.ts";
import { cutByProxy, cutOff } from "../judge.ts";
import { type Failed, type Sent, Traffic } from "../traffic.ts";

/** All kinds of requests over several cless, about 300 a second together. */
export class Requests implements AsyncDisposable {
  /** What was done to the cless of nodes. */
  readonly ofCless = new Harms();
  /** What was done to what runs instances. */
  readonly ofInstances = new Harms();
  readonly #cluster: Cluster;
  readonly #sender: string;
  readonly #share: number;
  readonly #traffics = new Map<number, Traffic>();
  readonly #ended: Sent[] = [];
  #seed: number;

  /** @param share How many of the usual requests are sent. */
  constructor(cluster: Cluster, sender: string, { seed, share }: { seed: number; share: number }) {
    this.#cluster = cluster;
    this.#sender = sender;
    this.#share = share;
    this.#seed = seed;
  }

  /** Sends requests to a node from now on, until it is told not to. */
  begin(number: number): void {
    const flows = usualFlows(this.#share / this.#cluster.nodes.all.length)
      .map((flow) => ({ ...flow, name: `${number}: ${flow.name}` }));
    const { address } = this.#cluster.node(number);
    this.#traffics.set(number, Traffic.start(this.#sender, `http://${address}/`, flows, this.#seed++));
  }

  /** Sends a node nothing more; resolves when everything has been answered. */
  async end(number: number): Promise<void> {
    const traffic = this.#traffics.get(number);
    this.#traffics.delete(number);
    if (traffic !== undefined) this.#ended.push(await traffic.finish());
  }

  /** Waits until each node has given some good answers. @throws {BenchError} When one does not. */
  async untilGood(count: number, withinMs: number): Promise<void> {
    for (const traffic of this.#traffics.values()) {
      await traffic.until("good answers before anything happens", ({ good }) => good >= count, withinMs);
    }
  }

  /** Sends nothing more, and tells what became of everything. */
  async finish(): Promise<Sent> {
    await Promise.all([...this.#traffics.keys()].map((number) => this.end(number)));
    return {
      flows: this.#ended.flatMap(({ flows }) => flows),
      failures: this.#ended.flatMap(({ failures }) => failures),
    };
  }

  /** Whether nobody could have saved a request: its cless was lost, or it was taken by an app that was lost. */
  mayFail(failed: Failed): boolean {
    const { began, ended, flow } = failed;
    const node = /^\d+/.exec(flow)?.[0];
    if (node === undefined) throw new BenchError(`${flow} is of no node`);
    return (cutByProxy(failed) && this.ofCless.wasHarmed(node, began, ended)) ||
      (cutOff(failed) && this.ofInstances.wasHarmed("app", began, ended));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#traffics.values()].map((traffic) => traffic[Symbol.asyncDispose]()));
  }
}
