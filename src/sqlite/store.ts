import type {
  HistoryEntry,
  RevisionMark,
  RevisionRecord,
  SecretRecord,
  SecretVersion,
  ServiceChange,
  ServiceRecord,
  TokenRecord,
} from "../control/records.ts";
import { StaleError, type Store } from "../control/store.ts";
import { Connection } from "./connection.ts";
import { SecretTable, TokenTable } from "./credential_tables.ts";
import { HistoryTable } from "./history_table.ts";
import { migrate } from "./migrations.ts";
import { RevisionTable, ServiceTable } from "./service_tables.ts";

/** Short, since all requests stand still meanwhile; long enough for a person who looks into the database. */
const BUSY_TIMEOUT_MS = 100;

/**
 * How many services are read at a time: all at once would briefly take much memory, which the system does not get back.
 */
const PAGE_SIZE = 250;

/** The store in an SQLite database. Only one process, the data-dir's, may have it open for long. */
export class SqliteStore implements Store {
  readonly #connection: Connection;
  readonly #services: ServiceTable;
  readonly #revisions: RevisionTable;
  readonly #history: HistoryTable;
  readonly #secrets: SecretTable;
  readonly #tokens: TokenTable;

  /** @param connection A database of the newest version; the store closes it. */
  constructor(connection: Connection) {
    this.#connection = connection;
    const { db } = connection;
    this.#services = new ServiceTable(db);
    this.#revisions = new RevisionTable(db);
    this.#history = new HistoryTable(db);
    this.#secrets = new SecretTable(db);
    this.#tokens = new TokenTable(db);
  }

  /**
   * Opens `cless.sqlite` in a folder; makes it if there is none. An older one is copied, then migrated.
   *
   * @param busyTimeoutMs How long to wait for another process's lock; this process stands still meanwhile.
   * @throws {OperatorError} If it is newer than the program, or cannot be used; the message says what to do.
   */
  static open(folder: string, busyTimeoutMs = BUSY_TIMEOUT_MS): SqliteStore {
    const connection = Connection.open(`${folder}/cless.sqlite`, busyTimeoutMs);
    try {
      migrate(connection);
      return connection.guard(() => new SqliteStore(connection));
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  load(each: (service: ServiceRecord, marks: readonly RevisionMark[]) => void): void {
    this.#connection.read(() => {
      for (let after = "";;) {
        const services = this.#services.page(after, PAGE_SIZE);
        const last = services.at(-1)?.name;
        if (last === undefined) return;
        const marks = this.#revisions.marks(after, last);
        for (const service of services) each(service, marks.get(service.name) ?? []);
        after = last;
      }
    });
  }

  service(name: string): ServiceRecord | undefined {
    return this.#connection.read(() => this.#services.one(name));
  }

  services(after: string, limit: number): ServiceRecord[] {
    return this.#connection.read(() => this.#services.page(after, limit));
  }

  domainOwner(domain: string): string | undefined {
    return this.#connection.read(() => this.#services.ownerOf(domain));
  }

  revisions(service: string): RevisionRecord[] {
    return this.#connection.read(() => this.#revisions.of(service));
  }

  change({ service, expectedGeneration, addRevision, removeRevisions, history }: ServiceChange): void {
    this.#connection.write(() => {
      this.#checkGeneration(service.name, expectedGeneration);
      this.#services.put(service);
      if (addRevision !== undefined) this.#revisions.add(addRevision);
      for (const name of removeRevisions ?? []) this.#revisions.remove(name, service.name);
      this.#history.add(history);
    });
  }

  delete(name: string, expectedGeneration: number, history: HistoryEntry): void {
    this.#connection.write(() => {
      this.#checkGeneration(name, expectedGeneration);
      this.#services.delete(name);
      this.#history.add(history);
    });
  }

  history(service: string, limit: number, before: number = Number.MAX_SAFE_INTEGER): HistoryEntry[] {
    return this.#connection.read(() => this.#history.page(service, limit, before));
  }

  forgetHistory(before: number): void {
    this.#connection.write(() => this.#history.forget(before));
  }

  addSecret(name: string, sealed: Uint8Array, at: number): SecretRecord {
    return this.#connection.write(() => this.#secrets.add(name, sealed, at));
  }

  nextSecretVersion(name: string): number {
    return this.#connection.read(() => this.#secrets.nextVersion(name));
  }

  secretVersions(): SecretVersion[] {
    return this.#connection.read(() => this.#secrets.newest());
  }

  secret(name: string, version: number): SecretRecord | undefined {
    return this.#connection.read(() => this.#secrets.one(name, version));
  }

  deleteSecret(name: string): boolean {
    return this.#connection.write(() => this.#secrets.delete(name));
  }

  putToken(token: TokenRecord): void {
    this.#connection.write(() => this.#tokens.put(token));
  }

  tokens(): TokenRecord[] {
    return this.#connection.read(() => this.#tokens.all());
  }

  deleteToken(name: string): boolean {
    return this.#connection.write(() => this.#tokens.delete(name));
  }

  backup(path: string): void {
    this.#connection.copyTo(path, "refuse");
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  #checkGeneration(name: string, generation: number | undefined): void {
    const found = this.#services.generation(name);
    if (found === generation) return;
    throw new StaleError(
      found === undefined
        ? `the service ${name} is not there any more`
        : generation === undefined
        ? `the service ${name} is there already`
        : `the service ${name} was changed in the meantime: it is at ${found}, and not at ${generation}`,
    );
  }
}
