import { OperatorError } from "../base/errors.ts";
import type {
  HistoryEntry,
  RevisionMark,
  RevisionRecord,
  SecretRecord,
  SecretVersion,
  ServiceChange,
  ServiceRecord,
  TokenRecord,
} from "./records.ts";

/**
 * The durable record. What a method has returned from is on disk, and a method that throws has changed nothing.
 *
 * Every method throws {@linkcode StoreUnavailable} while something outside of cless keeps the store from working; once
 * that has gone, the same call works again.
 */
export interface Store extends Disposable {
  /**
   * Reads everything that is declared, and keeps nothing of it.
   *
   * @param each Is given every service by name, with the marks of its revisions by age; must not use the store.
   */
  load(each: (service: ServiceRecord, marks: readonly RevisionMark[]) => void): void;

  /** A service; `undefined` where there is none of that name. */
  service(name: string): ServiceRecord | undefined;

  /** The services whose names come after one, by name. @param limit How many at most. */
  services(after: string, limit: number): ServiceRecord[];

  /** The name of the service that has a domain; `undefined` where none does. */
  domainOwner(domain: string): string | undefined;

  /** The revisions of a service by age; none where there is no such service. */
  revisions(service: string): RevisionRecord[];

  /**
   * Keeps a change of a service.
   *
   * @throws {StaleError} When the service has another generation than expected, or is there where none was expected.
   * @throws {DomainTakenError} When another service has one of its domains, or it has one twice itself.
   */
  change(change: ServiceChange): void;

  /** Removes a service and all that belongs to it, but not its history. @throws {StaleError} As for a change. */
  delete(name: string, expectedGeneration: number, history: HistoryEntry): void;

  /**
   * The history of a service, newest first; it outlives the service.
   *
   * @param limit How many entries; a few more where some have one time, so that nothing lies between two pages.
   * @param before Only entries older than that, wall-clock ms since 1970.
   */
  history(service: string, limit: number, before?: number): HistoryEntry[];

  /** Removes history that is older than that, wall-clock ms since 1970. */
  forgetHistory(before: number): void;

  /** Keeps a new value of a secret, in the {@linkcode nextSecretVersion}. */
  addSecret(name: string, sealed: Uint8Array, at: number): SecretRecord;
  /** Which version the next value of a secret will have; one more than the last, also where the secret was deleted since. */
  nextSecretVersion(name: string): number;
  /** The newest version of each secret, by name. */
  secretVersions(): SecretVersion[];
  /** One version of a secret. */
  secret(name: string, version: number): SecretRecord | undefined;
  /** Removes every version of a secret; whether there was one. */
  deleteSecret(name: string): boolean;

  /** Keeps a token in place of one of the same name. */
  putToken(token: TokenRecord): void;
  /** Every token, by name. */
  tokens(): TokenRecord[];
  /** Whether there was one. */
  deleteToken(name: string): boolean;

  /**
   * Writes a copy of everything to a new file, while the store is in use.
   *
   * @throws {OperatorError} When the file is there already, or cannot be written.
   */
  backup(path: string): void;
}

/** Somebody else has changed it in the meantime. */
export class StaleError extends Error {
  override readonly name = "StaleError";
}

/** A domain belongs to another service. */
export class DomainTakenError extends Error {
  override readonly name = "DomainTakenError";
  readonly domain: string;
  readonly service: string;

  constructor(domain: string, service: string) {
    super(`${domain} belongs to the service ${service}`);
    this.domain = domain;
    this.service = service;
  }
}

/** The store cannot be used now; the message says what to do. */
export class StoreUnavailable extends OperatorError {}
