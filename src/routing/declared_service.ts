import { draw } from "../model/traffic.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { Route, Waking } from "./route.ts";
import type { Share } from "./share.ts";

const NO_TAGS: readonly TaggedRevision[] = [];

/** A service that somebody has declared, as it is at one moment: it never changes, it is replaced. */
export class DeclaredService implements Route {
  readonly name: string;
  /** Whole hostnames that lead to it besides its own; lower case. */
  readonly domains: readonly string[];
  readonly shares: readonly Share[];
  /** The revisions with an address of their own. */
  readonly tagged: readonly TaggedRevision[];
  readonly waking: Waking | undefined;
  readonly #drawn: readonly Share[];
  readonly #random: () => number;

  /**
   * @param shares Their percents sum to 100.
   * @param waking What is special about its waking.
   * @param random From 0 to below 1, evenly.
   */
  constructor(
    name: string,
    { domains, shares, waking, random = Math.random }: {
      domains: readonly string[];
      shares: readonly Share[];
      waking?: Waking | undefined;
      random?: () => number;
    },
  ) {
    this.name = name;
    this.domains = domains;
    this.shares = shares;
    this.waking = waking;
    const tagged = shares.some(({ tag }) => tag !== undefined);
    this.tagged = tagged ? shares.flatMap((share) => TaggedRevision.of(name, share, waking)) : NO_TAGS;
    this.#drawn = shares.every(({ percent }) => percent > 0) ? shares : shares.filter(({ percent }) => percent > 0);
    this.#random = random;
  }

  get convention(): false {
    return false;
  }

  route(chosen?: InstancePool): InstancePool {
    // A second choice would give a cold revision less than its share.
    if (chosen !== undefined && this.pools().includes(chosen)) return chosen;
    return (this.#drawn.length === 1 ? this.#drawn[0]! : draw(this.#drawn, this.#random())).pool;
  }

  /** The pool that most requests go to. */
  main(): InstancePool {
    return this.#drawn.reduce((most, share) => share.percent > most.percent ? share : most).pool;
  }

  /**
   * The pools that have a share of the requests, and so should always have as many instances as
   * their revisions say.
   */
  kept(): InstancePool[] {
    return poolsOf(this.#drawn).filter(({ revision }) => revision.minInstances > 0);
  }

  pools(): InstancePool[] {
    return poolsOf(this.shares);
  }

  /** The pool of one of its revisions; made now, where nobody has needed it yet. */
  poolOf(revision: string): InstancePool | undefined {
    return this.shares.find((share) => (share.unmade ?? share.pool.revision.name) === revision)?.pool;
  }
}

function poolsOf(shares: readonly Share[]): InstancePool[] {
  return shares.filter(({ unmade }) => unmade === undefined).map(({ pool }) => pool);
}

/** The revision that a tag names, under an address of its own. */
export class TaggedRevision implements Route {
  readonly convention = false;
  readonly name: string;
  /** What it is called under; no service's name has two hyphens in a row. */
  readonly label: string;
  readonly waking: Waking | undefined;
  readonly #share: Share;

  private constructor(name: string, tag: string, share: Share, waking: Waking | undefined) {
    this.name = name;
    this.label = `${tag}--${name}`;
    this.waking = waking;
    this.#share = share;
  }

  /** That of a share; none where it has no tag. @param waking What is special about the waking of its service. */
  static of(name: string, share: Share, waking: Waking | undefined): TaggedRevision[] {
    return share.tag === undefined ? [] : [new TaggedRevision(name, share.tag, share, waking)];
  }

  route(): InstancePool {
    return this.#share.pool;
  }

  pools(): InstancePool[] {
    return poolsOf([this.#share]);
  }
}
