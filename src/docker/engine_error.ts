/** Why the engine did not carry out a request. */
export type FailureKind =
  | "gone" // the container does not exist
  | "no_such_image"
  | "no_such_network"
  | "conflict" // the name is taken
  | "address_taken" // or the host port
  | "subnet_taken" // it overlaps with another one
  | "in_use" // something needs the image or network
  | "tagged" // the image has several names, so it cannot be removed by its id
  | "no_log_driver" // the engine does not have the log driver
  | "stale" // another change came first
  | "already" // the container is already in that state
  | "away" // the engine, or a part of it, does not answer
  | "late" // it did not answer in time
  | "refused"; // anything else

/** The engine did not carry out a request. The message is the engine's, on one line. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** The kind of a failure; `undefined` for an error that does not come from the engine. */
export function kindOf(error: unknown): FailureKind | undefined {
  return error instanceof EngineError ? error.kind : undefined;
}

/** Messages of engines and the docker command, with their meanings; the first match counts. */
const MESSAGES: readonly (readonly [pattern: RegExp, kind: FailureKind])[] = [
  [/swarm does not have a leader|not a swarm manager|code = (Canceled|DeadlineExceeded|Unavailable)/i, "away"],
  [/raft: (failed to process the request|no elected cluster leader|node is not yet part)/i, "away"],
  [/update out of sequence/i, "stale"],
  [/code = AlreadyExists/i, "conflict"],
  [/^(config|node|service|task) \S+ not found$/i, "gone"],
  [/too many open files|cannot allocate memory|resource temporarily unavailable/i, "away"],
  [/cannot connect to the docker daemon|error during connect|unexpected EOF|\bEOF$|error while dialing/i, "away"],
  [/no such container/i, "gone"],
  [/^(error: )?no such image\b|\bimage not known$/i, "no_such_image"],
  [/network .* not found/i, "no_such_network"],
  [/container name .* already in use|network with name .* already exists/i, "conflict"],
  [/is (already|not) paused|removal of container .* already in progress/i, "already"],
  [/address already in use|already allocated/i, "address_taken"],
  [/pool overlaps|^subnet \S+ is already used/i, "subnet_taken"],
  [/invalid log driver/i, "no_log_driver"],
  [/must be forced/i, "tagged"],
  [/conflict|in use|being used|dependent child|has active endpoints/i, "in_use"],
];

/**
 * The kind of failure that a message of an engine or of the docker command means. @param otherwise The kind for an
 * unknown message.
 */
export function kindOfMessage(message: string, otherwise: FailureKind = "refused"): FailureKind {
  return MESSAGES.find(([pattern]) => pattern.test(message))?.[1] ?? otherwise;
}
