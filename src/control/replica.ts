import type { DeployRecord, HistoryEntry, SecretRecord, TokenRecord } from "./records.ts";
import type { ServiceContent, Store } from "./store.ts";

/** What is remembered of a service, also after it was deleted. */
export interface ServicePast {
  /** Newest first. */
  readonly history: readonly HistoryEntry[];
  /** Newest first. */
  readonly deploys: readonly DeployRecord[];
}

/** A record that a replica shares with the others. */
export interface SharedRecord {
  readonly kind: "service" | "secret" | "token";
  readonly name: string;
}

/** The shared store of which a replica was a copy when it was last with it. */
export interface Followed {
  readonly id: string;
  /** Whether the replica has been used alone since. */
  readonly isApart: boolean;
  /** What was changed meanwhile, by kind and name. What is not named here is as the shared store had it. */
  readonly changed: readonly SharedRecord[];
}

/**
 * A store that follows another one, which several processes share: it has a copy of the shared records, and records of
 * its own. When a method returns, its change is on disk; when it throws, nothing has changed.
 */
export interface Replica extends Store {
  /** The shared store that was followed last; `undefined` if there was none, so that everything was made here. */
  followed(): Followed | undefined;
  /** From now on, the replica is a copy of a shared store: what it has besides may be replaced. */
  follow(id: string): void;
  /** The names of the services of which anything is stored, also if that is only history or deploys, in no order. */
  known(): string[];
  /** The names of those with history or deploys from before a wall-clock time, ms since 1970. */
  knownBefore(at: number): string[];
  /**
   * Replaces what is declared of a service. With the service, its figures go too. A domain of it that another service
   * still has is taken from that one.
   */
  putContent(name: string, content: ServiceContent): void;
  /** Replaces the history and the deploys of a service. */
  putPast(name: string, past: ServicePast): void;
  /** Replaces all secrets. @param lastVersions The last version that each secret has ever had, by its name. */
  putSecrets(secrets: readonly SecretRecord[], lastVersions: ReadonlyMap<string, number>): void;
  /** Replaces all tokens. */
  putTokens(tokens: readonly TokenRecord[]): void;
}
