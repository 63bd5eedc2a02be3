import type { Clock } from "../base/clock.ts";
import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Tokens } from "../control/access/tokens.ts";
import type { DataDir } from "../control/data_dir.ts";
import type { Members } from "./members.ts";
import type { Handlers, OwnerToken } from "./messages.ts";
import type { PeerClient } from "./peer_client.ts";
import { PeerAway } from "./peer_error.ts";

const log = logger("peers");
/** How long a peer may take to store the token. */
const EXCHANGE = { timeoutMs: 3000 };
/** The time until a machine that has not answered is asked again. */
const RETRY_MS = 10_000;
/** By so much the clocks of two machines may differ. */
const MAX_AHEAD_MS = 300_000;

/** What a {@linkcode SharedToken} is made from. */
export interface SharedTokenOptions {
  /** The node of this process. */
  readonly nodeId: string;
  readonly dataDir: Pick<DataDir, "token" | "tokenMadeAt" | "takeToken">;
  readonly tokens: Pick<Tokens, "setOwner">;
  readonly members: Pick<Members, "live" | "onChange">;
  readonly client: Pick<PeerClient, "ask">;
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/**
 * Keeps the owner's token the same on all machines: whenever a peer comes, both take the one that was made later, so that
 * a machine that was away learns of a new one.
 */
export class SharedToken {
  readonly #options: SharedTokenOptions;
  /** What cancels the next attempt with each machine that has not answered. */
  readonly #retries = new Map<string, () => void>();

  constructor(options: SharedTokenOptions) {
    this.#options = options;
    options.members.onChange({
      came: (nodeId) => void this.#exchange(nodeId),
      went: (nodeId) => this.#cancelRetry(nodeId),
    });
  }

  /** What answers the messages of other machines. */
  get handlers(): Pick<Handlers, "owner-token"> {
    return {
      "owner-token": async (theirs) => {
        await this.#take(theirs);
        return this.#own;
      },
    };
  }

  /**
   * Lets all others take the token, after it was replaced here. Those that are away take it when they are back, and those
   * that only do not answer are asked again.
   */
  async spread(): Promise<void> {
    const { members, nodeId: own } = this.#options;
    await Promise.all(members.live.filter((nodeId) => nodeId !== own).map((nodeId) => this.#exchange(nodeId)));
  }

  get #own(): OwnerToken {
    const { token: text, tokenMadeAt: madeAt } = this.#options.dataDir;
    return { text, madeAt };
  }

  async #exchange(nodeId: string): Promise<void> {
    const { client, clock, members } = this.#options;
    try {
      await this.#take(await client.ask(nodeId, "owner-token", this.#own, EXCHANGE));
      this.#cancelRetry(nodeId);
    } catch (error) {
      log.warning("a machine may still have an older token of the admin API", {
        node: nodeId,
        reason: messageOf(error),
      });
      this.#cancelRetry(nodeId);
      if (!(error instanceof PeerAway) || !members.live.includes(nodeId)) return;
      this.#retries.set(nodeId, clock.after(RETRY_MS, () => void this.#exchange(nodeId)));
    }
  }

  #cancelRetry(nodeId: string): void {
    this.#retries.get(nodeId)?.();
    this.#retries.delete(nodeId);
  }

  /** @throws {ClessError} For a token from the future. */
  async #take({ madeAt, text }: OwnerToken): Promise<void> {
    const { dataDir, now, tokens } = this.#options;
    const own = this.#own;
    if (text === own.text) return;
    const latest = now() + MAX_AHEAD_MS;
    if (madeAt > latest) {
      const minutes = Math.round((madeAt - now()) / 60_000);
      const what = `The token was made ${minutes} minutes after the time of this machine's clock`;
      throw new ClessError("invalid", `${what}; let NTP set the clocks of all machines, then run cless token rotate`);
    }
    if (own.madeAt <= latest && madeAt <= own.madeAt) return;
    dataDir.takeToken(text, madeAt);
    await tokens.setOwner(text);
    log.info("the owner's token was replaced on another machine", {});
  }
}
