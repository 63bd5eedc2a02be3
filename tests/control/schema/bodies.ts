import { assert, assertStringIncludes, assertThrows } from "@std/assert";
import { parseService } from "../../../src/control/schema/schema.ts";
import { InvalidError } from "../../../src/control/schema/invalid.ts";

/** The image of bodies whose subject is something else. */
export const IMAGE = "ghcr.io/acme/shop:v1";

/** The message for an invalid body. Without `image` it gets one. */
export function refusal(body: object, name = "shop"): InvalidError {
  return assertThrows(() => parseService(name, { image: IMAGE, ...body }), InvalidError);
}

/** Checks that a field is refused in each of these forms, by its path and with a reason. */
export function refused(path: string, why: string, bodies: object[]): void {
  for (const body of bodies) {
    const { message } = refusal(body);
    assert(message.startsWith(`${path}: `), `${message}, and not ${path}`);
    assertStringIncludes(message, why);
  }
}

/** Checks that bodies are accepted. */
export function accepted(bodies: object[]): void {
  for (const body of bodies) parseService("shop", { image: IMAGE, ...body });
}
