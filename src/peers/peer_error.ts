/** What is known about a {@linkcode PeerAway}. */
interface PeerAwayOptions extends ErrorOptions {
  readonly isSilent?: boolean;
  readonly isUnsent?: boolean;
}

/** A peer does not answer, or its answer breaks off: nobody knows whether it has done what it was asked. */
export class PeerAway extends Error {
  override readonly name = "PeerAway";
  /** Whether it says nothing at all. Else the connection could not be made, or has ended. */
  readonly isSilent: boolean;
  /** Whether the message was certainly not sent. */
  readonly isUnsent: boolean;

  /** Whether nobody listens at its address, though its machine is there. */
  readonly isRefused: boolean;

  constructor(message: string, options: PeerAwayOptions = {}) {
    super(message, options);
    this.isSilent = options.isSilent ?? false;
    this.isUnsent = options.isUnsent ?? false;
    this.isRefused = options.cause instanceof Deno.errors.ConnectionRefused;
  }
}

/** A peer has answered that it does not do what it was asked. The message says why, on one line. */
export class PeerRefused extends Error {
  override readonly name = "PeerRefused";
  /** What kind of failure it is, where both sides have a word for it. */
  readonly kind: string | undefined;

  constructor(message: string, kind?: string) {
    super(message);
    this.kind = kind;
  }
}
