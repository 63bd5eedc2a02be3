import { OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type DeployMark, surplusDeploys } from "../control/deploy_record.ts";
import type {
  CostRecord,
  FigureAges,
  GapCount,
  IdleRecord,
  NewFigures,
  Period,
  RequestCount,
  RequestSum,
  RunRecord,
  SpellRecord,
  WakeCount,
  WakeRecord,
  WakeSum,
} from "../control/figures/records.ts";
import type {
  CertificateName,
  DeployEnd,
  DeployRecord,
  HistoryEntry,
  RevisionMark,
  RevisionRecord,
  SecretRecord,
  SecretVersion,
  ServiceChange,
  ServiceRecord,
  SessionRecord,
  TokenRecord,
} from "../control/records.ts";
import type { Followed, Replica, ServicePast, SharedRecord } from "../control/replica.ts";
import { checkGeneration, DomainTakenError, type ServiceContent, StaleError } from "../control/store.ts";
import { templateText } from "../model/template.ts";
import { Connection, type ConnectionObserver } from "./connection.ts";
import { unavailable } from "./fault.ts";
import { FigureTables } from "./figure_tables.ts";
import { isEmpty, migrate } from "./migrations.ts";
import {
  type DeployEndRow,
  deployOf,
  type DeployRow,
  entryOf,
  type HistoryRow,
  markOf,
  type MarkRow,
  prepareStatements,
  revisionOf,
  type RevisionRow,
  serviceOf,
  type ServiceRow,
  type TokenRow,
} from "./statements.ts";

const log = logger("store");

/**
 * The longest wait for another process's lock. It is short, since no request is served meanwhile, but long enough if a
 * person looks into the database.
 */
const BUSY_TIMEOUT_MS = 100;

/**
 * This many services are read at a time. Reading all at once would take much memory, which the process would not give
 * back.
 */
const PAGE_SIZE = 250;

/** The store in an SQLite database. Only the process that has locked the data-dir may keep it open. */
export class SqliteStore implements Replica {
  #connection: Connection;
  #sql: ReturnType<typeof prepareStatements>;
  #figures: FigureTables;
  /** Whether it has warned of a retired field; one warning is enough. */
  #hasWarned = false;

  /** @param connection A database of the newest version. The store closes it. */
  constructor(connection: Connection) {
    this.#connection = connection;
    this.#sql = prepareStatements(connection.db);
    this.#figures = new FigureTables(connection.db);
  }

  /**
   * Opens `cless.sqlite` in a folder; creates it if there is none. An older database is copied and migrated.
   *
   * @param options.isNew Whether the database may be missing or empty.
   * @param options.busyTimeoutMs How long to wait for another process's lock. This process is blocked meanwhile.
   * @throws {OperatorError} If it is newer than the program, or cannot be used; the message says what to do.
   */
  static open(folder: string, { isNew = true, busyTimeoutMs = BUSY_TIMEOUT_MS } = {}): SqliteStore {
    const path = `${folder}/cless.sqlite`;
    const lost = new OperatorError(
      `${path} is missing or empty, though this data-dir has been used: its services would be lost; put back the ` +
        "database or a backup of it, or name a new folder with --data-dir",
    );
    if (!isNew && sizeOf(path) === 0) throw lost;
    const connection = Connection.open(path, busyTimeoutMs);
    if (!isNew && isEmpty(connection)) {
      connection[Symbol.dispose]();
      throw lost;
    }
    const store = SqliteStore.#migrated(connection, path);
    Connection.clear(path); // a process that was taking over may have been killed
    return store;
  }

  /**
   * Opens the copy that the predecessor has made with {@linkcode seal}, and migrates it. {@linkcode install} then puts
   * it in place of the database.
   *
   * @throws {OperatorError} As {@linkcode open} does.
   */
  static openNext(folder: string): SqliteStore {
    const path = `${folder}/cless.sqlite`;
    return SqliteStore.#migrated(Connection.openNext(path, BUSY_TIMEOUT_MS), path);
  }

  static #migrated(connection: Connection, path: string): SqliteStore {
    try {
      migrate(connection, undefined, path);
      return connection.guard(() => new SqliteStore(connection));
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  /** Copies the database for a successor. From now on, reads come from memory, and changes are refused. */
  seal(): void {
    this.#use(this.#connection.seal());
  }

  /** Undoes {@linkcode seal} after the successor has failed. @throws {OperatorError} As {@linkcode open} does. */
  unseal(): void {
    const opened = Connection.unseal(this.#connection.path, BUSY_TIMEOUT_MS);
    this.#connection[Symbol.dispose]();
    this.#use(opened);
  }

  /** Puts the migrated copy in place of the database. @throws {StoreUnavailable} */
  install(): void {
    this.#use(this.#connection.install(BUSY_TIMEOUT_MS));
  }

  /** Removes the database that {@linkcode install} has replaced. From now on, the predecessor cannot return to it. */
  confirm(): void {
    Connection.clear(this.#connection.path);
  }

  load(each: (service: ServiceRecord, marks: readonly RevisionMark[]) => void): void {
    this.#connection.read(() => {
      for (let after = "";;) {
        const services = this.#page(after, PAGE_SIZE);
        const last = services.at(-1)?.name;
        if (last === undefined) return;
        const rows = this.#sql.marks.all(after, last) as unknown as MarkRow[];
        const marks = Map.groupBy(rows, ({ service }) => service);
        for (const service of services) each(service, (marks.get(service.name) ?? []).map(markOf));
        after = last;
      }
    });
  }

  service(name: string): ServiceRecord | undefined {
    return this.#connection.read(() => {
      const row = this.#sql.service.get(name) as ServiceRow | undefined;
      return row && serviceOf(row, JSON.parse);
    });
  }

  services(after: string, limit: number): ServiceRecord[] {
    return this.#connection.read(() => this.#page(after, limit));
  }

  domainOwner(domain: string): string | undefined {
    return this.#connection.read(() => this.#ownerOf(domain));
  }

  revisions(service: string): RevisionRecord[] {
    return this.#connection.read(() => {
      const rows = this.#sql.revisions.all(service) as unknown as RevisionRow[];
      this.#warnOfRetired(rows);
      return rows.map(revisionOf);
    });
  }

  change({ service, expectedGeneration, addRevision, removeRevisions = [], history }: ServiceChange): Promise<void> {
    return this.#write(() => {
      this.#checkGeneration(service.name, expectedGeneration);
      this.#putService(service);
      if (addRevision !== undefined) this.#addRevision(addRevision);
      for (const name of removeRevisions) this.#sql.removeRevision.run(name, service.name);
      this.#addHistory(history);
      this.#sql.noteApart.run("service", service.name);
    });
  }

  /** No other process shares this store. */
  reserveNumber(_service: string, number: number): Promise<number> {
    return Promise.resolve(number);
  }

  /** No other process shares this store. */
  foreign(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  delete(name: string, expectedGeneration: number, history: HistoryEntry): Promise<void> {
    return this.#write(() => {
      this.#checkGeneration(name, expectedGeneration);
      this.#deleteService(name);
      this.#sql.deleteDeploys.run(name);
      this.#addHistory(history);
      this.#sql.noteApart.run("service", name);
    });
  }

  history(
    service: string | undefined,
    limit: number,
    before: number = Number.MAX_SAFE_INTEGER,
  ): HistoryEntry[] {
    return this.#connection.read(() => {
      const rows = service === undefined
        ? this.#sql.historyOfAll.all({ limit, before })
        : this.#sql.history.all({ service, limit, before });
      return (rows as unknown as HistoryRow[]).map(entryOf);
    });
  }

  forgetHistory(before: number): Promise<void> {
    return this.#write(() => {
      this.#sql.forgetHistory.run(before);
      this.#sql.forgetDeploys.run(before);
    });
  }

  deploys(service: string | undefined, limit: number): DeployRecord[] {
    return this.#connection.read(() => {
      const rows = service === undefined ? this.#sql.deploysOfAll.all(limit) : this.#sql.deploys.all(service, limit);
      return (rows as unknown as DeployRow[]).map(deployOf);
    });
  }

  deploysSince(at: number): DeployEnd[] {
    return this.#connection.read(() => {
      const rows = this.#sql.deploysSince.all(at) as unknown as DeployEndRow[];
      return rows.map((row) => ({ ...row, revision: row.revision ?? undefined }));
    });
  }

  addDeploy(deploy: DeployRecord): Promise<void> {
    return this.#write(() => {
      this.#addDeploy(deploy);
      const marks = this.#sql.deployMarks.all() as unknown as DeployMark[];
      for (const id of surplusDeploys(marks)) this.#sql.removeDeploy.run(id);
    });
  }

  deleteDeploys(service: string): Promise<void> {
    return this.#write(() => void this.#sql.deleteDeploys.run(service));
  }

  /**
   * From now on, this store is used alone, and not as a replica: what is changed is noted until {@linkcode follow}, since
   * the shared store that was followed does not get it.
   */
  goApart(): void {
    if (this.followed() !== undefined) this.#connection.write(() => this.#sql.goApart.run());
  }

  followed(): Followed | undefined {
    return this.#connection.read(() => {
      const row = this.#sql.followedStore.get() as { id: string; isApart: number } | undefined;
      if (row === undefined) return undefined;
      const changed = this.#sql.changedApart.all() as unknown as SharedRecord[];
      return { id: row.id, isApart: row.isApart !== 0, changed: changed.map((record) => ({ ...record })) };
    });
  }

  follow(id: string): void {
    this.#connection.write(() => {
      this.#sql.forgetFollowed.run();
      this.#sql.forgetChangedApart.run();
      this.#sql.addFollowed.run(id);
    });
  }

  known(): string[] {
    return this.#connection.read(() => (this.#sql.known.all() as { name: string }[]).map(({ name }) => name));
  }

  knownBefore(at: number): string[] {
    return this.#connection.read(() =>
      (this.#sql.knownBefore.all({ at }) as { name: string }[]).map(({ name }) => name)
    );
  }

  putContent(name: string, { revisions, service }: ServiceContent): void {
    this.#connection.write(() => {
      if (service === undefined) {
        this.#deleteService(name);
        return;
      }
      for (const domain of service.domains) this.#sql.deleteDomain.run(domain);
      this.#putService(service);
      this.#sql.removeRevisions.run(name);
      for (const revision of revisions) this.#addRevision(revision);
    });
  }

  putPast(name: string, { deploys, history }: ServicePast): void {
    this.#connection.write(() => {
      this.#sql.deleteHistory.run(name);
      this.#sql.deleteDeploys.run(name);
      for (const entry of history.toReversed()) this.#addHistory(entry);
      for (const deploy of deploys.toReversed()) this.#addDeploy(deploy);
    });
  }

  putSecrets(secrets: readonly SecretRecord[], lastVersions: ReadonlyMap<string, number>): void {
    this.#connection.write(() => {
      const textOf = ({ createdAt, name, version }: SecretVersion) => `${name} ${version} ${createdAt}`;
      const stored = this.#sql.secretMarks.all() as unknown as SecretVersion[];
      const [before, after] = [new Set(stored.map(textOf)), new Set(secrets.map(textOf))];
      for (const one of stored) if (!after.has(textOf(one))) this.#sql.deleteSecretVersion.run(one.name, one.version);
      for (const [name, version] of lastVersions) this.#sql.putLastSecretVersion.run(name, version);
      for (const secret of secrets) {
        const { createdAt, name, sealed, version } = secret;
        if (!before.has(textOf(secret))) this.#sql.addSecret.run(name, version, sealed, createdAt);
      }
    });
  }

  putTokens(tokens: readonly TokenRecord[]): void {
    this.#connection.write(() => {
      this.#sql.deleteTokens.run();
      for (const token of tokens) this.#addToken(token);
    });
  }

  costs(): CostRecord[] {
    return this.#connection.read(() => this.#figures.costs());
  }

  wakes(service: string, sinceMinute: number): Omit<WakeCount, "minute">[] {
    return this.#connection.read(() => this.#figures.wakes(service, sinceMinute));
  }

  wakeLog(options: { service?: string | undefined; since: number; limit: number }): WakeRecord[] {
    return this.#connection.read(() => this.#figures.wakeLog(options));
  }

  gaps(service: string, sinceDay: number): Omit<GapCount, "service" | "day">[] {
    return this.#connection.read(() => this.#figures.gaps.since(service, sinceDay));
  }

  idle(): IdleRecord[] {
    return this.#connection.read(() => this.#figures.gaps.idle());
  }

  sumsByMinute(sinceMinute: number): { requests: RequestSum[]; wakes: WakeSum[] } {
    return this.#connection.read(() => this.#figures.sumsByMinute(sinceMinute));
  }

  minutes(service: string, sinceMinute: number): { requests: RequestCount[]; wakes: WakeSum[] } {
    return this.#connection.read(() => this.#figures.minutes(service, sinceMinute));
  }

  hours(service: string, sinceHour: number): Period[] {
    return this.#connection.read(() => this.#figures.hours(service, sinceHour));
  }

  spells(since: number, service?: string): SpellRecord[] {
    return this.#connection.read(() => this.#figures.spells(since, service));
  }

  runs(): RunRecord[] {
    return this.#connection.read(() => this.#figures.runs());
  }

  addFigures(figures: NewFigures): void {
    this.#connection.write(() => this.#figures.add(figures));
  }

  trimFigures(ages: FigureAges): void {
    this.#connection.write(() => this.#figures.trim(ages));
  }

  addSecret({ createdAt, name, sealed, version }: SecretRecord): Promise<void> {
    return this.#write(() => {
      const next = this.#sql.nextSecretVersion.get(name) as { version: number };
      if (next.version !== version) {
        throw new StaleError(`the next version of the secret ${name} is ${next.version}, and not ${version}`);
      }
      this.#sql.addSecret.run(name, version, sealed, createdAt);
      this.#sql.noteApart.run("secret", name);
    });
  }

  nextSecretVersion(name: string): number {
    return this.#connection.read(() => {
      const row = this.#sql.lastSecretVersion.get(name) as { version: number } | undefined;
      return (row?.version ?? 0) + 1;
    });
  }

  secretVersions(): SecretVersion[] {
    return this.#connection.read(() => {
      const rows = this.#sql.secretVersions.all() as unknown as SecretVersion[];
      return rows.map((row) => ({ ...row }));
    });
  }

  secret(name: string, version: number): SecretRecord | undefined {
    return this.#connection.read(() => {
      const row = this.#sql.secret.get(name, version) as SecretRecord | undefined;
      return row && { ...row };
    });
  }

  deleteSecret(name: string): Promise<boolean> {
    return this.#write(() => {
      this.#sql.noteApart.run("secret", name);
      return this.#sql.deleteSecret.run(name).changes > 0;
    });
  }

  addToken(token: TokenRecord): Promise<boolean> {
    return this.#write(() => {
      this.#sql.noteApart.run("token", token.name);
      return this.#addToken(token);
    });
  }

  tokens(): TokenRecord[] {
    return this.#connection.read(() => {
      const rows = this.#sql.tokens.all() as unknown as TokenRow[];
      return rows.map((row) => ({ ...row, expiresAt: row.expiresAt ?? undefined }));
    });
  }

  deleteToken(name: string): Promise<boolean> {
    return this.#write(() => {
      this.#sql.noteApart.run("token", name);
      return this.#sql.deleteToken.run(name).changes > 0;
    });
  }

  sessions(): SessionRecord[] {
    return this.#connection.read(() => {
      const rows = this.#sql.sessions.all() as unknown as SessionRecord[];
      return rows.map((row) => ({ ...row }));
    });
  }

  putSession(session: SessionRecord): void {
    this.#connection.write(() => this.#sql.putSession.run({ ...session }));
  }

  deleteSession(id: string): void {
    this.#connection.write(() => this.#sql.deleteSession.run(id));
  }

  certificateNames(): CertificateName[] {
    return this.#connection.read(() => {
      const rows = this.#sql.certificateNames.all() as unknown as CertificateName[];
      return rows.map((row) => ({ ...row }));
    });
  }

  putCertificateName(name: CertificateName, forgotten: readonly string[]): void {
    this.#connection.write(() => {
      this.#sql.putCertificateName.run({ ...name });
      for (const other of forgotten) this.#sql.deleteCertificateName.run(other);
    });
  }

  olderImages(): readonly string[] | undefined {
    return this.#connection.read(() => {
      const row = this.#sql.olderImages.get() as { ids: string } | undefined;
      return row && JSON.parse(row.ids);
    });
  }

  putOlderImages(ids: readonly string[]): void {
    this.#connection.write(() => this.#sql.putOlderImages.run(JSON.stringify(ids)));
  }

  /** Lets somebody learn what the database does from now on. */
  observe(observer: ConnectionObserver): void {
    this.#connection.observer = observer;
  }

  /** The size of its files, bytes. */
  get bytes(): number {
    return this.#connection.bytes;
  }

  backup(path: string): void {
    this.#connection.copyTo(path, "refuse");
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  /** Runs a change at once; the promise resolves when it is on disk. */
  #write<T>(change: () => T): Promise<T> {
    return Promise.try(() => this.#connection.write(change));
  }

  #use(connection: Connection): void {
    connection.observer = this.#connection.observer;
    this.#connection = connection;
    this.#sql = prepareStatements(connection.db);
    this.#figures = new FigureTables(connection.db);
  }

  #page(after: string, limit: number): ServiceRecord[] {
    const rows = this.#sql.services.all(after, limit) as unknown as ServiceRow[];
    // Equal values, which many services have, are parsed once and shared.
    const values = new Map<string, ReturnType<typeof JSON.parse>>();
    return rows.map((row) => serviceOf(row, (text) => values.getOrInsertComputed(text, JSON.parse)));
  }

  #ownerOf(domain: string): string | undefined {
    return (this.#sql.domainOwner.get(domain) as { service: string } | undefined)?.service;
  }

  #checkGeneration(name: string, expected: number | undefined): void {
    const row = this.#sql.generation.get(name) as { generation: number } | undefined;
    checkGeneration(name, row?.generation, expected);
  }

  #putService({ domains, ...service }: ServiceRecord): void {
    const { name } = service;
    this.#sql.putService.run({
      ...service,
      wake: JSON.stringify(service.wake),
      access: JSON.stringify(service.access),
      limits: JSON.stringify(service.limits),
      traffic: JSON.stringify(service.traffic),
      previousTraffic: JSON.stringify(service.previousTraffic),
      declaredBy: service.declaredBy ?? null,
    });
    this.#sql.deleteDomains.run(name);
    for (const [position, domain] of domains.entries()) {
      const owner = this.#ownerOf(domain);
      if (owner !== undefined) throw new DomainTakenError(domain, owner);
      this.#sql.addDomain.run(domain, name, position);
    }
  }

  #addRevision(revision: RevisionRecord): void {
    this.#sql.addRevision.run({
      ...revision,
      template: templateText(revision.template),
      imageDigest: revision.imageDigest ?? null,
      pulled: revision.pulled ? 1 : 0,
      secretVersions: JSON.stringify(revision.secretVersions),
      older: revision.older ? 1 : 0,
    });
  }

  #addHistory({ at, service, action, by, before, after }: HistoryEntry): void {
    this.#sql.addHistory.run(at, service, action, by, JSON.stringify(before) ?? null, JSON.stringify(after) ?? null);
  }

  /** Removes a service with its domains, its revisions (by foreign keys) and its figures. */
  #deleteService(name: string): void {
    this.#sql.deleteService.run(name);
    this.#figures.delete(name);
  }

  #addDeploy(deploy: DeployRecord): void {
    const { output, reason = null, revision = null } = deploy;
    this.#sql.addDeploy.run({ ...deploy, revision, reason, output: JSON.stringify(output) });
  }

  /** Returns false if there is a token of that name. */
  #addToken(token: TokenRecord): boolean {
    return this.#sql.addToken.run({ ...token, expiresAt: token.expiresAt ?? null }).changes > 0;
  }

  #warnOfRetired(rows: readonly RevisionRow[]): void {
    if (this.#hasWarned) return;
    const retired = rows.find(({ template }) => /"warmPool":[1-9]/.test(template));
    if (retired === undefined) return;
    this.#hasWarned = true;
    const message = "stored revision has the retired field warmPool, which is ignored";
    log.warning(message, { revision: retired.name });
  }
}

/** The size of a file in bytes; 0 if there is none. */
function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw unavailable(error, path);
  }
}
