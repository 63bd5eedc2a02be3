import { identityOf, type PeerIdentity } from "./identity.ts";

const PREFIX = "cless-join-";
/** Tells future formats apart. */
const FORMAT = 1;
const KEY_BYTES = 32;

/** What another machine needs to become one of this owner's. */
export interface JoinToken {
  /** The id of the owner's data-dirs. */
  readonly owner: string;
  /** The owner's token for the admin API. */
  readonly adminToken: string;
  /** When that was made, ms since 1970. */
  readonly adminTokenMadeAt: number;
  /** The key of the secrets, as base64. */
  readonly secretKey: string;
  readonly identity: PeerIdentity;
  /** The Swarm's managers, and where they listen for new nodes. */
  readonly managers: readonly { readonly nodeId: string; readonly address: string }[];
  /** Swarm's own tokens for each role. */
  readonly swarm: { readonly worker: string; readonly manager: string };
  /** Where the cless processes of managers listen for their peers. */
  readonly peers: readonly string[];
}

/** Writes a token on one line. */
export function formatJoinToken({ identity: { certificate, key, secret }, ...rest }: JoinToken): string {
  const json = JSON.stringify({ format: FORMAT, ...rest, identity: { certificate, key, secret } });
  return PREFIX + new TextEncoder().encode(json).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Reads a token. No error shows a part of it. @throws {RangeError} */
export function parseJoinToken(text: string): JoinToken {
  const [, encoded] = /^cless-join-([\w-]+)$/.exec(text.trim()) ?? [];
  if (encoded === undefined) throw new RangeError(`a token to join begins with ${PREFIX}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(encoded, { alphabet: "base64url" })));
  } catch {
    throw new RangeError("it is cut off or damaged; copy the whole line again");
  }
  const { format, owner, adminToken, adminTokenMadeAt, secretKey, identity, managers, swarm, peers } = value as Record<
    string,
    unknown
  >;
  if (format !== FORMAT) throw new RangeError("it comes from another version of cless; use the same version here");
  const known = identityOf(identity);
  const isWhole = isText(owner, /^[0-9a-f]{8}$/) && isText(adminToken, /^[\w-]{32,}$/) && isKey(secretKey) &&
    typeof adminTokenMadeAt === "number" && Array.isArray(managers) && managers.every(isManager) && isSwarm(swarm) &&
    Array.isArray(peers) &&
    peers.every((peer) => isText(peer));
  if (known === undefined || !isWhole) throw new RangeError("it lacks something; get a new one");
  return { owner, adminToken, adminTokenMadeAt, secretKey, identity: known, managers, swarm, peers };
}

function isText(value: unknown, form = /./): value is string {
  return typeof value === "string" && form.test(value);
}

function isKey(value: unknown): value is string {
  return isText(value, /^[A-Za-z0-9+/]{43}=$/) && Uint8Array.fromBase64(value).length === KEY_BYTES;
}

function isManager(value: unknown): boolean {
  const { address, nodeId } = (value ?? {}) as Record<string, unknown>;
  return isText(address, /^\S+:\d+$/) && isText(nodeId);
}

function isSwarm(value: unknown): value is JoinToken["swarm"] {
  const { manager, worker } = (value ?? {}) as Record<string, unknown>;
  return isText(manager, /^SWMTKN-/) && isText(worker, /^SWMTKN-/);
}
