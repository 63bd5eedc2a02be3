import { OperatorError } from "../base/errors.ts";
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
} from "./figures/records.ts";
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
} from "./records.ts";

/** What is declared of a service. */
export interface ServiceContent {
  /** `undefined` if there is no such service. */
  readonly service: ServiceRecord | undefined;
  /** Oldest first. */
  readonly revisions: readonly RevisionRecord[];
}

/**
 * The durable store. When a method returns, or the promise that it returns resolves, its change is durable; when it
 * throws or rejects, nothing has changed. Reads see a change when its promise is about to resolve, and never a part of it.
 *
 * Methods that return a promise change records that several processes may share; the others read, or change what only
 * this process uses. Other work may be done while such a promise is pending.
 *
 * Every method throws {@linkcode StoreUnavailable}, or rejects with it, while something outside of cless, such as a full
 * disk, keeps the store from working. The same call may succeed later.
 */
export interface Store extends Disposable {
  /**
   * Reads all services, sorted by name, each with the marks of its revisions, oldest first.
   *
   * @param each Must not use the store.
   */
  load(each: (service: ServiceRecord, marks: readonly RevisionMark[]) => void): void;

  service(name: string): ServiceRecord | undefined;

  /** The services whose names come after `after`, sorted by name; at most `limit`. */
  services(after: string, limit: number): ServiceRecord[];

  domainOwner(domain: string): string | undefined;

  /** The revisions of a service, oldest first; none if there is no such service. */
  revisions(service: string): RevisionRecord[];

  /**
   * Stores a change of a service.
   *
   * @throws {StaleError} If the service is not at the expected generation, or exists although it should be new.
   * @throws {DomainTakenError} If another service has one of its domains, or the change names a domain twice.
   */
  change(change: ServiceChange): Promise<void>;

  /**
   * Reserves a number for the next revision of a service, so that no other process that shares the store uses it;
   * resolves with `number`, or a higher one.
   */
  reserveNumber(service: string, number: number): Promise<number>;

  /**
   * What another process that shares the store has made of a service; `undefined` if that is the same as here. Reads
   * see it once it is taken over. No change of the service may run meanwhile.
   */
  foreign(service: string): Promise<ForeignContent | undefined>;

  /** Removes a service with its figures, its deploys and everything else but its history. @throws {StaleError} As {@linkcode change} does. */
  delete(name: string, expectedGeneration: number, history: HistoryEntry): Promise<void>;

  /**
   * The history of a service, newest first. It outlives the service.
   *
   * @param service `undefined` for all services.
   * @param limit How many entries to return. It returns a few more if some have the same time, so that no page skips
   * one.
   * @param before Only older entries, wall-clock ms since 1970.
   */
  history(service: string | undefined, limit: number, before?: number): HistoryEntry[];

  /** Removes history and deploys that are older than a wall-clock time, ms since 1970. */
  forgetHistory(before: number): Promise<void>;

  /**
   * The deploys of a service that have ended, the newest first; at most `limit`. The service may not exist.
   *
   * @param service `undefined` for all services.
   */
  deploys(service: string | undefined, limit: number): DeployRecord[];
  /** The deploys of all services that began after a wall-clock time, ms since 1970, oldest first. */
  deploysSince(at: number): DeployEnd[];
  /** Stores how a deploy has ended, and removes deploys that are not kept: see `surplusDeploys`. */
  addDeploy(deploy: DeployRecord): Promise<void>;
  /** Removes the deploys of a service; it may not exist. */
  deleteDeploys(service: string): Promise<void>;

  /** What services have cost, as stored by {@linkcode addFigures}. */
  costs(): CostRecord[];
  /** The wakes of a service since a minute, one entry for each revision, kind and bucket, summed over the minutes. */
  wakes(service: string, sinceMinute: number): Omit<WakeCount, "minute">[];
  /** The single wakes, the newest first; at most `limit`. @param since Only later ones, wall-clock ms since 1970. */
  wakeLog(options: { service?: string | undefined; since: number; limit: number }): WakeRecord[];
  /** The requests and wakes of all services since a minute. */
  sumsByMinute(sinceMinute: number): { requests: RequestSum[]; wakes: WakeSum[] };
  /** The requests and wakes of a service since a minute; only minutes that had some. */
  minutes(service: string, sinceMinute: number): { requests: RequestCount[]; wakes: WakeSum[] };
  /** What a service did since an hour; only hours in which it did something. */
  hours(service: string, sinceHour: number): Period[];
  /** The gaps between a service's requests since a day, one entry for each bucket. */
  gaps(service: string, sinceDay: number): Omit<GapCount, "service" | "day">[];
  /** Since when services are idle, as stored by {@linkcode addFigures}. */
  idle(): IdleRecord[];
  /**
   * The spells of all services or of one, by service, oldest first, with the last one of each before `since`.
   *
   * @param since Wall-clock time, ms since 1970.
   */
  spells(since: number, service?: string): SpellRecord[];
  /** When cless ran, oldest first. */
  runs(): RunRecord[];
  /**
   * Stores figures. A cost replaces that of the same service, and a run the one that began then. Wakes and requests are
   * added to those of the same minute and hour, and the time in each state to that of the same hour. Of the single
   * wakes of a service, the newest are retained.
   */
  addFigures(figures: NewFigures): void;
  /** Forgets what is older, and the oldest figures if there are very many. */
  trimFigures(ages: FigureAges): void;

  /**
   * Stores a new value of a secret.
   *
   * @param secret Its version must be the {@linkcode nextSecretVersion}.
   * @throws {StaleError} If another value has got that version in the meantime. Then the value has to be sealed again.
   */
  addSecret(secret: SecretRecord): Promise<void>;
  /** The version that a secret's next value gets: one more than the last, even if the secret was deleted. */
  nextSecretVersion(name: string): number;
  secretVersions(): SecretVersion[];
  secret(name: string, version: number): SecretRecord | undefined;
  /** Removes every version of a secret; resolves with whether there was one. */
  deleteSecret(name: string): Promise<boolean>;

  /** Stores a new token; resolves with `false`, and changes nothing, if there is one of that name. */
  addToken(token: TokenRecord): Promise<boolean>;
  tokens(): TokenRecord[];
  /** Removes a token; resolves with whether there was one. */
  deleteToken(name: string): Promise<boolean>;

  /** The sessions of browsers, in no order. */
  sessions(): SessionRecord[];
  /** Stores a session in place of the one with the same id. */
  putSession(session: SessionRecord): void;
  deleteSession(id: string): void;

  /** The names that were granted certificates, those that were asked for the longest ago first. */
  certificateNames(): CertificateName[];
  /** Stores a name in place of what is known of it, and forgets other names. */
  putCertificateName(name: CertificateName, forgotten: readonly string[]): void;

  /**
   * The ids of the convention's images whose containers do not get the {@linkcode ContainerDefaults}: see
   * `older_images.ts`. `undefined` until they are put.
   */
  olderImages(): readonly string[] | undefined;
  /** Call it once at most. */
  putOlderImages(ids: readonly string[]): void;

  /**
   * Copies the store to a new file while it is in use. @throws {OperatorError} If the file exists or cannot be written.
   */
  backup(path: string): void;
}

/** What another process has made of a service. */
export interface ForeignContent extends ServiceContent {
  /** Takes it over. @throws {StoreUnavailable} Then nothing has changed. */
  take(): void;
}

/** A service has changed in the meantime. */
export class StaleError extends Error {
  override readonly name = "StaleError";
}

/** @throws {StaleError} If a service is not at the expected generation; `undefined` if there is no such service. */
export function checkGeneration(name: string, found: number | undefined, expected: number | undefined): void {
  if (found === expected) return;
  throw new StaleError(
    found === undefined
      ? `the service ${name} is not there any more`
      : expected === undefined
      ? `the service ${name} is there already`
      : `the service ${name} was changed in the meantime: it is at ${found}, and not at ${expected}`,
  );
}

/** A domain belongs to another service. */
export class DomainTakenError extends Error {
  override readonly name = "DomainTakenError";

  constructor(domain: string, service: string) {
    super(`${domain} belongs to the service ${service}`);
  }
}

/** The store cannot be used now; the message says what to do. */
export class StoreUnavailable extends OperatorError {}
