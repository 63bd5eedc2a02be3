import { delay } from "../../src/base/async.ts";
import { systemClock } from "../../src/base/clock.ts";
import { SocketClient } from "../../src/docker/socket_client.ts";
import { SwarmCalls } from "../../src/docker/swarm/swarm_calls.ts";
import type { Cluster } from "./cluster.ts";

/** How often Swarm is asked, ms. */
const LOOK_MS = 200;
/** An answer that takes longer has waited for a leader, ms. */
const SOON_MS = 500;

/**
 * Watches when Swarm itself cannot start everything, whatever cless does: its managers have no leader, or the leader does
 * not hear from a node that lives, or takes a node for well that is not, and may give it tasks.
 */
export class SwarmWatch implements AsyncDisposable {
  /** When it was seen so, by `performance.now()`. */
  readonly #unable: number[] = [];
  readonly #watching: Promise<void>;
  #isOver = false;

  /**
   * @param live The numbers of the nodes that live; they may change meanwhile, as those that are away: those that run no
   * tasks.
   */
  constructor(cluster: Cluster, live: ReadonlySet<number>, away: ReadonlySet<number> = new Set()) {
    this.#watching = this.#watch(cluster, live, away);
  }

  /** How long after `fromMs` it was last seen unable before `toMs`, ms; 0 if it was not. Both by `performance.now()`. */
  recoveredAfter(fromMs: number, toMs: number): number {
    return Math.max(fromMs, ...this.#unable.filter((ms) => ms > fromMs && ms < toMs)) - fromMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#watching;
  }

  async #watch(cluster: Cluster, live: ReadonlySet<number>, away: ReadonlySet<number>): Promise<void> {
    while (!this.#isOver) {
      const began = performance.now();
      const isAble = await this.#look(cluster, [...live], [...away]);
      if (!isAble || performance.now() - began > SOON_MS) this.#unable.push(performance.now());
      await delay(systemClock, LOOK_MS);
    }
  }

  /**
   * Whether the manager of each node that lives names a leader, and hears from all of them, and from no other: each cless
   * asks its own.
   */
  async #look({ nodes }: Cluster, live: readonly number[], away: readonly number[]): Promise<boolean> {
    const asked = live.map((number) => nodes.node(number));
    const lost = away.map((number) => nodes.node(number));
    const able = await Promise.all(asked.map(async ({ engineSocket }) => {
      using engine = new SocketClient(engineSocket);
      const listed = await new SwarmCalls(engine).nodes().catch(() => []);
      const isHeard = (hostname: string) =>
        listed.some((node) => node.hostname === hostname && node.isReady && node.isAwaited !== true);
      return listed.some(({ isLeader }) => isLeader) && asked.every(({ hostname }) => isHeard(hostname)) &&
        !lost.some(({ hostname }) => isHeard(hostname));
    }));
    return !able.includes(false);
  }
}
