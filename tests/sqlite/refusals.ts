import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ServiceChange } from "../../src/control/records.ts";
import { StoreUnavailable } from "../../src/control/store.ts";
import type { SqliteStore } from "../../src/sqlite/store.ts";
import { changeAfter, revisionOf } from "./kit.ts";
import { loaded } from "../support/loaded.ts";

/** The message of the error with which an action fails. */
export async function refusal(action: () => unknown): Promise<string> {
  const { message } = await assertRejects(() => Promise.try(action), StoreUnavailable);
  assert(!message.includes("\n"), message);
  return message;
}

/** Deploys again and again until the store refuses; returns the last change that it has, and the message. */
export async function deployUntilRefused(
  store: SqliteStore,
  from: ServiceChange,
): Promise<{ kept: ServiceChange; message: string }> {
  let kept = from;
  for (let number = kept.service.lastNumber + 1; number < 5000; number++) {
    const change = {
      ...changeAfter(kept, { lastNumber: number }),
      addRevision: revisionOf("golang", number, { env: { FILLER: "x".repeat(3000) } }),
    };
    try {
      await store.change(change);
    } catch (error) {
      assert(error instanceof StoreUnavailable, `${error}`);
      return { kept, message: error.message };
    }
    kept = change;
  }
  throw new Error("It was never full");
}

/** Fails unless a store has exactly this change and those before it. */
export function assertHolds(store: SqliteStore, { service }: ServiceChange): void {
  const { services, revisions } = loaded(store);
  assertEquals(services, [service]);
  assertEquals(revisions.length, service.lastNumber);
  assertEquals(store.history("golang", 9999).length, service.generation);
}

/** The message if no space is left. */
export const full = (path: string) => `no space is left for ${path}; free some, and try again`;
/** The message while another process has the lock. */
export const locked = (path: string) =>
  `another process has locked ${path}; end it, or wait until it is done, and try again`;
/** The message for a damaged file. */
export const damaged = (path: string) =>
  `${path} is damaged; stop cless, put a copy of a backup there, and remove ${path}-wal and ${path}-shm`;
/** The message if it may not write. */
export const denied = (path: string) =>
  `cannot open or write ${path}; see that its folder is there, that this user may write in it and to the file, and ` +
  "that the file system is not read-only";
