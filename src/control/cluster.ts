/** A machine of the cluster, as operators see it. */
export interface ClusterNode {
  readonly id: string;
  /** The machine's hostname. */
  readonly name: string;
  /** Where the other machines reach it. */
  readonly address: string;
  readonly role: "manager" | "worker";
  /** Whether it leads the managers. */
  readonly isLeader: boolean;
  /** Whether the managers hear from it. */
  readonly isReady: boolean;
  /** Whether it gets instances: `pause` keeps those that it has, `drain` loses them. */
  readonly availability: "active" | "pause" | "drain";
  readonly labels: Readonly<Record<string, string>>;
  readonly engineVersion: string;
  /** All that the machine has, bytes. */
  readonly memoryBytes: number;
  readonly cpus: number;
  /** The cless that runs there; missing if none does. */
  readonly cless: ClusterPeer | undefined;
}

/** A cless of the cluster. */
export interface ClusterPeer {
  readonly version: string;
  /** Where it listens for its peers. */
  readonly address: string;
  /** How many instances are on its node; missing if it does not answer. */
  readonly instances: number | undefined;
  /** How much memory they use together, bytes; missing if it does not answer. */
  readonly memoryBytes: number | undefined;
}

/** What became of an image that was sent to a machine. */
export interface SentImage {
  /** The machine's hostname. */
  readonly node: string;
  /** Whether it was missing there, and is there now. False if it was there already. */
  readonly sent: boolean;
  /** Why it is not there; missing if it is. */
  readonly failure: string | undefined;
}

/** The machines of this owner. */
export interface Cluster {
  /** All of them, by name. @throws {OperatorError} If the managers do not answer. */
  nodes(): Promise<readonly ClusterNode[]>;
  /** What another machine needs to join; whoever has it has everything. @throws {OperatorError} */
  joinToken(): Promise<string>;
  /**
   * Sends an image of this machine to all others on which cless runs, or to one. Resolves when all are done.
   *
   * @param image Its name. @param to The machine's hostname.
   * @throws {ImageUnavailable} If it is not on this machine. @throws {NotFound} If there is no such machine.
   * @throws {OperatorError}
   */
  sendImage(image: string, to?: string): Promise<readonly SentImage[]>;
  /** Lets the other machines take the owner's token, after it was replaced here. Never rejects. */
  spreadToken(): Promise<void>;
}
