import { surplusDeploys } from "../../src/control/deploy_record.ts";
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
} from "../../src/control/figures/records.ts";
import {
  type CertificateName,
  type DeployEnd,
  type DeployRecord,
  type HistoryEntry,
  markOf,
  type RevisionMark,
  type RevisionRecord,
  type SecretRecord,
  type SecretVersion,
  type ServiceChange,
  type ServiceRecord,
  type SessionRecord,
  type TokenRecord,
} from "../../src/control/records.ts";
import { periodsOf, summed } from "../../src/control/figures/periods.ts";
import { DomainTakenError, StaleError, type Store } from "../../src/control/store.ts";

/** A store that forgets everything when the process ends. What it gives out are copies, as from a disk. */
export class FakeStore implements Store {
  /** What the next change is to fail with. */
  failure: Error | undefined;
  /** Called before a change is kept. */
  onChange: (change: ServiceChange) => void = () => {};
  /** If it is set, a change of shared records is made only once it resolves. */
  before: Promise<void> | undefined;
  /** If it is set, whoever has made a change of shared records learns of it only once it resolves. */
  after: Promise<void> | undefined;
  readonly #services = new Map<string, ServiceRecord>();
  #revisions: RevisionRecord[] = [];
  #history: HistoryEntry[] = [];
  readonly #deploys = new Map<number, DeployRecord>();
  #lastDeploy = 0;
  #secrets: SecretRecord[] = [];
  readonly #costs = new Map<string, CostRecord>();
  #wakes: WakeCount[] = [];
  #requests: RequestCount[] = [];
  #hours: Period[] = [];
  #spells: SpellRecord[] = [];
  readonly #runs = new Map<number, RunRecord>();
  #wakeLog: WakeRecord[] = [];
  #gaps: GapCount[] = [];
  readonly #idle = new Map<string, IdleRecord>();
  #olderImages: readonly string[] | undefined;
  readonly #lastVersions = new Map<string, number>();
  readonly #certificateNames = new Map<string, CertificateName>();
  readonly #tokens = new Map<string, TokenRecord>();
  readonly #sessions = new Map<string, SessionRecord>();

  load(each: (service: ServiceRecord, marks: readonly RevisionMark[]) => void): void {
    for (const service of [...this.#services.values()].sort(byName)) {
      each(structuredClone(service), this.revisions(service.name).map(markOf));
    }
  }

  service(name: string): ServiceRecord | undefined {
    return structuredClone(this.#services.get(name));
  }

  services(after: string, limit: number): ServiceRecord[] {
    const all = [...this.#services.values()].sort(byName);
    return structuredClone(all.filter(({ name }) => name > after).slice(0, limit));
  }

  domainOwner(domain: string): string | undefined {
    return [...this.#services.values()].find(({ domains }) => domains.includes(domain))?.name;
  }

  revisions(service: string): RevisionRecord[] {
    return structuredClone(this.#revisions.filter((revision) => revision.service === service));
  }

  change(change: ServiceChange): Promise<void> {
    return this.#write(() => this.#change(change));
  }

  #change(change: ServiceChange): void {
    this.onChange(change);
    const { service, expectedGeneration, addRevision, removeRevisions = [], history } = structuredClone(change);
    this.#check(service.name, expectedGeneration);
    for (const domain of service.domains) this.#checkDomain(domain, service);
    if (this.#revisions.some(({ name }) => name === addRevision?.name)) {
      throw new Error("The revision is there already");
    }
    this.#services.set(service.name, service);
    if (addRevision !== undefined) this.#revisions.push(addRevision);
    this.#revisions = this.#revisions.filter(({ name }) => !removeRevisions.includes(name));
    this.#history.push(history);
  }

  reserveNumber(_service: string, number: number): Promise<number> {
    return Promise.resolve(number);
  }

  foreign(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  delete(name: string, expectedGeneration: number, history: HistoryEntry): Promise<void> {
    return this.#write(() => this.#delete(name, expectedGeneration, history));
  }

  #delete(name: string, expectedGeneration: number, history: HistoryEntry): void {
    this.#check(name, expectedGeneration);
    this.#services.delete(name);
    this.#deleteDeploys(name);
    this.#costs.delete(name);
    const others = ({ service }: { readonly service: string }) => service !== name;
    this.#wakes = this.#wakes.filter(others);
    this.#requests = this.#requests.filter(others);
    this.#hours = this.#hours.filter(others);
    this.#spells = this.#spells.filter(others);
    this.#wakeLog = this.#wakeLog.filter(({ service }) => service !== name);
    this.#gaps = this.#gaps.filter(({ service }) => service !== name);
    this.#idle.delete(name);
    this.#revisions = this.#revisions.filter(({ service }) => service !== name);
    this.#history.push(structuredClone(history));
  }

  history(service: string | undefined, limit: number, before = Infinity): HistoryEntry[] {
    const entries = this.#history.filter((entry) => (service ?? entry.service) === entry.service && entry.at < before)
      .reverse().sort((a, b) => b.at - a.at);
    const oldest = entries[limit - 1]?.at ?? -Infinity;
    return structuredClone(entries.filter(({ at }) => at >= oldest));
  }

  forgetHistory(before: number): Promise<void> {
    return this.#write(() => {
      this.#history = this.#history.filter(({ at }) => at >= before);
      for (const [id, { startedAt }] of this.#deploys) if (startedAt < before) this.#deploys.delete(id);
    });
  }

  deploys(service: string | undefined, limit: number): DeployRecord[] {
    const own = [...this.#deploys.values()].filter((deploy) => (service ?? deploy.service) === deploy.service);
    return structuredClone(own.reverse().slice(0, limit));
  }

  deploysSince(at: number): DeployEnd[] {
    return [...this.#deploys.values()].filter(({ startedAt }) => startedAt > at)
      .map(({ by, outcome, revision, service, startedAt }) => ({ by, outcome, revision, service, startedAt }));
  }

  addDeploy(deploy: DeployRecord): Promise<void> {
    return this.#write(() => {
      this.#deploys.set(++this.#lastDeploy, structuredClone(deploy));
      const marks = Array.from(this.#deploys, ([id, { outcome, service }]) => ({ id, outcome, service }));
      for (const id of surplusDeploys(marks)) this.#deploys.delete(id);
    });
  }

  deleteDeploys(service: string): Promise<void> {
    return this.#write(() => this.#deleteDeploys(service));
  }

  #deleteDeploys(service: string): void {
    for (const [id, deploy] of this.#deploys) if (deploy.service === service) this.#deploys.delete(id);
  }

  addSecret(secret: SecretRecord): Promise<void> {
    return this.#write(() => {
      const { name, version } = secret;
      if (version !== this.nextSecretVersion(name)) throw new StaleError(`${name} has got version ${version} already`);
      this.#lastVersions.set(name, version);
      this.#secrets.push(secret);
    });
  }

  nextSecretVersion(name: string): number {
    return (this.#lastVersions.get(name) ?? 0) + 1;
  }

  secretVersions(): SecretVersion[] {
    const newest = new Map(this.#secrets.map(({ sealed: _, ...secret }) => [secret.name, secret]));
    return [...newest.values()].sort(byName);
  }

  secret(name: string, version: number): SecretRecord | undefined {
    return this.#secrets.find((secret) => secret.name === name && secret.version === version);
  }

  deleteSecret(name: string): Promise<boolean> {
    return this.#write(() => {
      const before = this.#secrets.length;
      this.#secrets = this.#secrets.filter((secret) => secret.name !== name);
      return this.#secrets.length < before;
    });
  }

  olderImages(): readonly string[] | undefined {
    return this.#olderImages;
  }

  putOlderImages(ids: readonly string[]): void {
    this.#olderImages = ids;
  }

  addToken(token: TokenRecord): Promise<boolean> {
    return this.#write(() => {
      if (this.#tokens.has(token.name)) return false;
      this.#tokens.set(token.name, token);
      return true;
    });
  }

  tokens(): TokenRecord[] {
    return [...this.#tokens.values()].sort(byName);
  }

  deleteToken(name: string): Promise<boolean> {
    return this.#write(() => this.#tokens.delete(name));
  }

  sessions(): SessionRecord[] {
    return [...this.#sessions.values()];
  }

  putSession(session: SessionRecord): void {
    this.#sessions.set(session.id, session);
  }

  deleteSession(id: string): void {
    this.#sessions.delete(id);
  }

  certificateNames(): CertificateName[] {
    const all = [...this.#certificateNames.values()];
    return structuredClone(all.sort((a, b) => a.askedAt - b.askedAt || byName(a, b)));
  }

  putCertificateName(name: CertificateName, forgotten: readonly string[]): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    this.#certificateNames.set(name.name, name);
    for (const other of forgotten) this.#certificateNames.delete(other);
  }

  costs(): CostRecord[] {
    return structuredClone([...this.#costs.values()]);
  }

  wakes(service: string, sinceMinute: number): Omit<WakeCount, "minute">[] {
    return structuredClone(this.#wakes.filter((wake) => wake.service === service && wake.minute >= sinceMinute));
  }

  wakeLog({ limit, service, since }: { service?: string | undefined; since: number; limit: number }): WakeRecord[] {
    const wakes = this.#wakeLog.filter((wake) =>
      wake.at >= since && (service === undefined || wake.service === service)
    );
    return structuredClone(wakes.toReversed().sort((a, b) => b.at - a.at).slice(0, limit));
  }

  sumsByMinute(sinceMinute: number): { requests: RequestSum[]; wakes: WakeSum[] } {
    const those = ({ minute }: { readonly minute: number }) => minute >= sinceMinute;
    return structuredClone({ requests: this.#requests.filter(those), wakes: this.#wakes.filter(those) });
  }

  minutes(service: string, sinceMinute: number): { requests: RequestCount[]; wakes: WakeSum[] } {
    const those = (one: { readonly service: string; readonly minute: number }) =>
      one.service === service && one.minute >= sinceMinute;
    return structuredClone({ requests: this.#requests.filter(those), wakes: this.#wakes.filter(those) });
  }

  hours(service: string, sinceHour: number): Period[] {
    return structuredClone(this.#hours.filter((hour) => hour.service === service && hour.at >= sinceHour));
  }

  spells(since: number, service?: string): SpellRecord[] {
    const own = this.#spells.filter((spell) => service === undefined || spell.service === service);
    const byService = Map.groupBy(own, (spell) => spell.service);
    return structuredClone([...byService.values()].flatMap((spells) => {
      const before = spells.findLastIndex(({ at }) => at < since);
      return spells.slice(Math.max(0, before));
    }));
  }

  runs(): RunRecord[] {
    return [...this.#runs.values()];
  }

  gaps(service: string, sinceDay: number): Omit<GapCount, "service" | "day">[] {
    const own = this.#gaps.filter((gap) => gap.service === service && gap.day >= sinceDay);
    return own.map(({ bucket, count, seconds }) => ({ bucket, count, seconds }));
  }

  idle(): IdleRecord[] {
    return structuredClone([...this.#idle.values()]);
  }

  addFigures(figures: NewFigures): void {
    const { costs = [], gaps = [], idle = [], requests = [], run, spells = [], wakeLog = [], wakes = [] } = figures;
    if (this.failure !== undefined) throw this.failure;
    this.#requests = [...this.#requests, ...structuredClone(requests)];
    this.#hours = summed([...this.#hours, ...structuredClone(periodsOf(figures, 60))]);
    this.#spells = [...this.#spells, ...structuredClone(spells)];
    if (run !== undefined) this.#runs.set(run.since, run);
    for (const cost of structuredClone(costs)) this.#costs.set(cost.service, cost);
    this.#wakes = [...this.#wakes, ...structuredClone(wakes)];
    this.#wakeLog = [...this.#wakeLog, ...structuredClone(wakeLog)];
    this.#gaps = [...this.#gaps, ...structuredClone(gaps)];
    for (const record of idle) this.#idle.set(record.service, record);
  }

  trimFigures(ages: FigureAges): void {
    this.#wakes = this.#wakes.filter(({ minute }) => minute >= ages.minute);
    this.#wakeLog = this.#wakeLog.filter(({ at }) => at >= ages.minute * 60_000);
    this.#requests = this.#requests.filter(({ minute }) => minute >= ages.minute);
    this.#hours = this.#hours.filter(({ at }) => at >= ages.hour);
    this.#gaps = this.#gaps.filter(({ day }) => day >= ages.day);
    this.#spells = this.#spells.filter(({ at }) => at >= ages.spells);
  }

  backup(): void {
    throw new Error("There is nothing to copy");
  }

  [Symbol.dispose](): void {}

  /** Makes a change, at once unless a test delays it. */
  #write<T>(change: () => T): Promise<T> {
    const { after, before } = this;
    if (before === undefined && after === undefined) return Promise.try(change);
    return Promise.resolve(before).then(change).then(async (result) => {
      await after;
      return result;
    });
  }

  #check(name: string, expected: number | undefined): void {
    const failure = this.failure;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    const found = this.#services.get(name)?.generation;
    if (found !== expected) throw new StaleError(`${name} is at ${found}, and not at ${expected}`);
  }

  #checkDomain(domain: string, { name, domains }: ServiceRecord): void {
    const owner = [...this.#services.values()].find((other) => other.name !== name && other.domains.includes(domain));
    if (owner !== undefined) throw new DomainTakenError(domain, owner.name);
    if (domains.filter((one) => one === domain).length > 1) throw new DomainTakenError(domain, name);
  }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
