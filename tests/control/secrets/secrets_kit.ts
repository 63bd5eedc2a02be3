import { assert, assertRejects } from "@std/assert";
import { Secrets } from "../../../src/control/secrets/secrets.ts";
import type { Store } from "../../../src/control/store.ts";
import { OperatorError } from "../../../src/base/errors.ts";
import { SqliteStore } from "../../../src/sqlite/store.ts";
import { noRead, noWrite } from "../../support/permissions.ts";

/** A test with a store in a folder of its own. */
export function storeTest(name: string, fn: (store: SqliteStore, folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "secrets-" });
      try {
        using store = SqliteStore.open(folder);
        await fn(store, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** A key as text. */
export function keyOf(byte: number): string {
  return new Uint8Array(32).fill(byte).toBase64();
}

/** Opens the secrets of a store with a key that is given as text. */
export function withKey(store: Store, byte = 1): Promise<Secrets> {
  return Secrets.open(store, { folder: "/none", text: keyOf(byte) }, () => 1000);
}

/** The current value of a secret. */
export async function valueOf(secrets: Secrets, name: string): Promise<string | undefined> {
  return (await secrets.resolve({ A: name }, secrets.currentVersions([name]))).A;
}

/** A store that returns the same value for every secret. */
export function withSealed(store: Store, change: (sealed: Uint8Array) => Uint8Array): Store {
  return {
    secretVersions: () => store.secretVersions(),
    secret(name: string, version: number) {
      const record = store.secret(name, version)!;
      return { ...record, sealed: change(record.sealed) };
    },
  } as Store;
}

/** Everything that an error contains, including its causes. */
export function allOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${error.stack} ${allOf(error.cause)}` : String(error);
}

/** The message for a value that cannot be unsealed. */
export async function failure<E extends OperatorError>(
  action: () => Promise<unknown>,
  type: new (message: string) => E,
): Promise<string> {
  const { message } = await assertRejects(action, type);
  assert(!message.includes("\n"), message);
  return message;
}
