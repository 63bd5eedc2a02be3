import type { InstanceState } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import type { Instance } from "./instance.ts";
import type { Failure } from "./start_backoff.ts";
import type { WakeObserver } from "./wake_times.ts";

/** Observes the instances of pools. */
export interface PoolObserver extends WakeObserver {
  /** Called for a new instance, and for each change of state. */
  changed?(instance: Instance, before: InstanceState | undefined): void;
  /** Called when a revision has failed, once its app's output is known. */
  failed?(revision: Revision, failure: Failure): void;
  /** Called after a start, with the times that its container and then its app took. */
  started?(revision: Revision, createMs: number, readyMs: number): void;
  /** Called when an instance has not become ready, or ended or stopped answering by itself. */
  broke?(revision: Revision, how: Breakage): void;
}

/**
 * What went wrong with an instance, if neither cless nor an operator ended it: a start that failed or took too long, an
 * end, or no answers any more.
 */
export type Breakage = "start_failed" | "start_timeout" | "ended" | "out_of_memory" | "hung" | "unanswered";
