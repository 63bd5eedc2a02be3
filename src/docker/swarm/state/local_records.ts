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
} from "../../../control/figures/records.ts";
import type {
  CertificateName,
  DeployEnd,
  DeployRecord,
  HistoryEntry,
  RevisionMark,
  RevisionRecord,
  SecretRecord,
  SecretVersion,
  ServiceRecord,
  SessionRecord,
  TokenRecord,
} from "../../../control/records.ts";
import type { Replica } from "../../../control/replica.ts";

/** The part of a shared store that does not need the Swarm: all reads, and what belongs to this node alone. */
export abstract class LocalRecords {
  protected readonly replica: Replica;

  constructor(replica: Replica) {
    this.replica = replica;
  }

  load(each: (service: ServiceRecord, marks: readonly RevisionMark[]) => void): void {
    this.replica.load(each);
  }

  service(name: string): ServiceRecord | undefined {
    return this.replica.service(name);
  }

  services(after: string, limit: number): ServiceRecord[] {
    return this.replica.services(after, limit);
  }

  domainOwner(domain: string): string | undefined {
    return this.replica.domainOwner(domain);
  }

  revisions(service: string): RevisionRecord[] {
    return this.replica.revisions(service);
  }

  history(service: string, limit: number, before?: number): HistoryEntry[] {
    return this.replica.history(service, limit, before);
  }

  deploys(service: string, limit: number): DeployRecord[] {
    return this.replica.deploys(service, limit);
  }

  deploysSince(at: number): DeployEnd[] {
    return this.replica.deploysSince(at);
  }

  nextSecretVersion(name: string): number {
    return this.replica.nextSecretVersion(name);
  }

  secretVersions(): SecretVersion[] {
    return this.replica.secretVersions();
  }

  secret(name: string, version: number): SecretRecord | undefined {
    return this.replica.secret(name, version);
  }

  tokens(): TokenRecord[] {
    return this.replica.tokens();
  }

  costs(): CostRecord[] {
    return this.replica.costs();
  }

  wakes(service: string, sinceMinute: number): Omit<WakeCount, "minute">[] {
    return this.replica.wakes(service, sinceMinute);
  }

  wakeLog(options: { service?: string | undefined; since: number; limit: number }): WakeRecord[] {
    return this.replica.wakeLog(options);
  }

  sumsByMinute(sinceMinute: number): { requests: RequestSum[]; wakes: WakeSum[] } {
    return this.replica.sumsByMinute(sinceMinute);
  }

  minutes(service: string, sinceMinute: number): { requests: RequestCount[]; wakes: WakeSum[] } {
    return this.replica.minutes(service, sinceMinute);
  }

  hours(service: string, sinceHour: number): Period[] {
    return this.replica.hours(service, sinceHour);
  }

  gaps(service: string, sinceDay: number): Omit<GapCount, "service" | "day">[] {
    return this.replica.gaps(service, sinceDay);
  }

  idle(): IdleRecord[] {
    return this.replica.idle();
  }

  spells(since: number, service?: string): SpellRecord[] {
    return this.replica.spells(since, service);
  }

  runs(): RunRecord[] {
    return this.replica.runs();
  }

  addFigures(figures: NewFigures): void {
    this.replica.addFigures(figures);
  }

  trimFigures(ages: FigureAges): void {
    this.replica.trimFigures(ages);
  }

  sessions(): SessionRecord[] {
    return this.replica.sessions();
  }

  putSession(session: SessionRecord): void {
    this.replica.putSession(session);
  }

  deleteSession(id: string): void {
    this.replica.deleteSession(id);
  }

  certificateNames(): CertificateName[] {
    return this.replica.certificateNames();
  }

  putCertificateName(name: CertificateName, forgotten: readonly string[]): void {
    this.replica.putCertificateName(name, forgotten);
  }

  olderImages(): readonly string[] | undefined {
    return this.replica.olderImages();
  }

  putOlderImages(ids: readonly string[]): void {
    this.replica.putOlderImages(ids);
  }

  backup(path: string): void {
    this.replica.backup(path);
  }
}
