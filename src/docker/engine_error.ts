/**
 * Why the engine has not done what it was asked for: `gone` there is no such container; `no_such_image` and
 * `no_such_network` likewise; `conflict` the name is taken; `address_taken` the address or the host port is; `subnet_taken`
 * the subnet overlaps with another one; `in_use` something needs the image or network; `tagged` the image has several
 * names, and goes by its id only with the last one; `already` it is so without this request; `away` no engine answers, or
 * a part of it is away; `late` it did not answer in time; `refused` anything else.
 */
export type FailureKind =
  | "gone"
  | "no_such_image"
  | "no_such_network"
  | "conflict"
  | "address_taken"
  | "subnet_taken"
  | "in_use"
  | "tagged"
  | "already"
  | "away"
  | "late"
  | "refused";

/** The engine has not done what it was asked for. The message is what it said, on one line. */
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
