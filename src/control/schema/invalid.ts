import { closestString } from "@std/text/closest-string";
import { OperatorError } from "../../base/errors.ts";
import { isServiceName } from "../../model/service.ts";

/** The path of a value in a body: names of fields, and indexes of lists. */
export type FieldPath = readonly (string | number)[];

/** At most this many faults are told at once. */
export const MAX_FAULTS = 20;

/** What is wrong with a field. */
export interface Fault {
  readonly path: FieldPath;
  /** What is wrong, without the field's name. */
  readonly reason: string;
  /** Whether the field's name is wrong, rather than its value. */
  readonly ofName: boolean;
}

/** A body is invalid. The message is one line about the first fault, `FIELD: what is wrong, what is right`. */
export class InvalidError extends Error implements Fault {
  override readonly name = "InvalidError";
  readonly path: FieldPath;
  readonly reason: string;
  readonly ofName: boolean;
  /** All faults that were found, including the first. */
  readonly faults: readonly Fault[];

  /** @param others The faults besides this one. */
  constructor(path: FieldPath, reason: string, ofName = false, others: readonly Fault[] = []) {
    super(`${showPath(path)}: ${reason}`);
    this.path = path;
    this.reason = reason;
    this.ofName = ofName;
    this.faults = [{ path, reason, ofName }, ...others];
  }
}

/** Refuses what has faults. @throws {InvalidError} If there are any. */
export function refuseFaults([first, ...others]: readonly Fault[]): void {
  if (first !== undefined) throw new InvalidError(first.path, first.reason, first.ofName, others);
}

/** Formats a path, such as `env.A` or `domains.0`. Quotes unusual names, and cuts long ones. */
export function showPath(path: FieldPath): string {
  return path.length === 0 ? "the body" : path.map(showName).join(".");
}

function showName(name: string | number): string {
  const text = String(name);
  const short = text.length > 100 ? `${text.slice(0, 99)}…` : text;
  // deno-lint-ignore no-control-regex
  return /^$|[\s\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(short) ? JSON.stringify(short) : short;
}

/** The message for an unknown field. */
export function unknownField(name: string, known: readonly string[]): string {
  return `unknown field; did you mean \`${closestString(name, known)}\`?`;
}

/** The form of the name of a secret or a token. */
export const CREDENTIAL_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** The message for an invalid name of a secret. */
export const SECRET_NAME_RULE =
  "is not a valid name of a secret; expected up to 128 letters, digits and _ . -, with a letter or digit first";

/** The message for an invalid name of a service. */
export const SERVICE_NAME_RULE =
  "must be 1 to 40 lower-case letters, digits and single hyphens, with a letter first and no hyphen last, and not admin";

/** Checks the name of a service. @throws {InvalidError} */
export function checkServiceName(name: string): void {
  if (!isServiceName(name)) throw new InvalidError(["name"], SERVICE_NAME_RULE);
}

/** Checks that `TAG--NAME` fits into a label of a hostname. @throws {InvalidError} At `path`, if it is too long. */
export function checkTagLength(name: string, tag: string, path: FieldPath): void {
  const most = 63 - 2 - name.length;
  if (tag.length <= most) return;
  throw new InvalidError(
    path,
    `must be at most ${most} characters here, since ${tag}--${name} is a label of a hostname`,
  );
}

/** Checks the name of a secret. @throws {InvalidError} */
export function checkSecretName(name: string): void {
  if (!CREDENTIAL_NAME.test(name)) throw new InvalidError(["name"], SECRET_NAME_RULE);
}

/** A place in a text; both numbers count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is wrong at a place of a text. */
export interface PlacedFault {
  readonly place: Place;
  readonly message: string;
}

/** A file is invalid. Each fault has a line, `FILE:LINE:COLUMN: FIELD: what is wrong, what is right`. */
export class ManifestError extends OperatorError {
  /** @param more How many further faults there are. */
  constructor(file: string, faults: readonly PlacedFault[], more = 0) {
    const lines = faults.map(({ place: { line, column }, message }) => `${file}:${line}:${column}: ${message}`);
    if (more > 0) lines.push(`${file}: and ${more} more`);
    super(lines);
  }
}
