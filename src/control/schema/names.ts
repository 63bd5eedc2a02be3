import { isServiceName } from "../../model/hostname.ts";
import { type FieldPath, InvalidError } from "./invalid.ts";

/** What makes the name of a secret. */
export const SECRET_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** What is said of a name that is none. */
export const SECRET_NAME_RULE =
  "is no name of a secret; right are up to 128 letters, digits, and _ . - but at the beginning";

/** Checks the name of a service. @throws {InvalidError} Where it is none. */
export function checkServiceName(name: string): void {
  if (isServiceName(name)) return;
  const rule =
    "must be 1 to 40 small letters, digits and single hyphens, a letter first and no hyphen last, and not admin";
  throw new InvalidError(["name"], rule);
}

/**
 * Checks that a tag's address, `TAG--NAME`, can be a label of a hostname.
 *
 * @param path Where the tag stands.
 * @throws {InvalidError} Where it is too long.
 */
export function checkTagLength(name: string, tag: string, path: FieldPath): void {
  const most = 63 - 2 - name.length;
  if (tag.length > most) {
    throw new InvalidError(
      path,
      `must be at most ${most} characters here, since ${tag}--${name} is a label of a hostname`,
    );
  }
}

/** Checks the name of a secret. @throws {InvalidError} Where it is none. */
export function checkSecretName(name: string): void {
  if (!SECRET_NAME.test(name)) throw new InvalidError(["name"], SECRET_NAME_RULE);
}
