import type { EngineApi } from "./engine_api.ts";
import { type FailureKind, kindOf } from "./engine_error.ts";

/** How a call ended; `cancelled` if nobody waited for its end any more. */
type CallResult = "ok" | FailureKind | "cancelled";

/** How often a call ended in one way. */
export interface EngineCallCount {
  readonly call: string;
  readonly result: CallResult;
  readonly count: number;
}

/** Counts calls of the engine by their results. */
export class EngineCalls {
  readonly #counts = new Map<string, EngineCallCount>();

  /** The counts so far; the number of calls and of results is fixed, and so is the length. */
  get all(): Iterable<EngineCallCount> {
    return this.#counts.values();
  }

  /** The same engine, with each call counted when it has ended; but not `logs`, which ends when its reader leaves. */
  counting(api: EngineApi): EngineApi {
    return new Proxy(api, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          const given: unknown = Reflect.apply(member, target, args);
          if (given instanceof Promise && typeof name === "string") this.#watch(name, given);
          return given;
        };
      },
    });
  }

  #watch(call: string, given: Promise<unknown>): void {
    given.then(() => this.#add(call, "ok"), (error) => this.#add(call, kindOf(error) ?? "cancelled"));
  }

  #add(call: string, result: CallResult): void {
    const key = `${call} ${result}`;
    this.#counts.set(key, { call, result, count: (this.#counts.get(key)?.count ?? 0) + 1 });
  }
}
