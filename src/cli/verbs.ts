import { apply } from "./apply.ts";
import { deleteService } from "./delete.ts";
import { deploy } from "./deploy.ts";
import { describe } from "./describe.ts";
import { doctor, DOCTOR_FLAGS } from "./doctor.ts";
import { instances } from "./instances.ts";
import { logs } from "./logs.ts";
import { revisions } from "./revisions.ts";
import { rollback } from "./rollback.ts";
import { serve } from "./serve.ts";
import { SERVE_FLAGS } from "./serve_flags.ts";
import { services } from "./services.ts";
import { sleep } from "./sleep.ts";
import { traffic } from "./traffic.ts";
import type { Verb } from "./verb.ts";
import { wake } from "./wake.ts";

/** All verbs, in the order of `cless --help`. */
export const VERBS: readonly Verb[] = [
  {
    name: "serve",
    group: "Run",
    summary: "Serve requests, until it is told to stop",
    usage: "",
    flags: SERVE_FLAGS,
    run: serve,
  },
  {
    name: "doctor",
    group: "Run",
    summary: "Find out what would keep serve from working, and what to do",
    usage: "",
    flags: DOCTOR_FLAGS,
    run: doctor,
  },
  deploy,
  traffic,
  rollback,
  wake,
  sleep,
  deleteService,
  apply,
  services,
  describe,
  revisions,
  instances,
  logs,
];
