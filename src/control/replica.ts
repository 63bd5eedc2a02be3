import type { DeployRecord, HistoryEntry, SecretRecord, TokenRecord } from "./records.ts";
import type { ServiceContent, Store } from "./store.ts";

/** What is remembered of a service, also after it was deleted. */
export interface ServicePast {
  /** Newest first. */
  readonly history: readonly HistoryEntry[];
  /** Newest first. */
  readonly deploys: readonly DeployRecord[];
}

/**
 * A store that follows another one, which several processes share: it has a copy of the shared records, and records of
 * its own. When a method returns, its change is on disk; when it throws, nothing has changed.
 */
export interface Replica extends Store {
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
