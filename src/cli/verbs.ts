import { apply } from "./apply.ts";
import { backup } from "./backup.ts";
import { completionsOf } from "./completions.ts";
import { deploy } from "./deploy.ts";
import { describe } from "./describe.ts";
import { doctor } from "./doctor.ts";
import { exportServices } from "./export.ts";
import { history } from "./history.ts";
import { deleteService, sleep, wake } from "./lifecycle.ts";
import { instances, revisions, services } from "./lists.ts";
import { logs } from "./logs.ts";
import { secret, secrets } from "./secrets.ts";
import { serve } from "./serve.ts";
import { token } from "./token.ts";
import { rollback, traffic } from "./traffic.ts";
import type { Verb } from "./verb.ts";

const OTHERS: readonly Verb[] = [
  serve,
  doctor,
  deploy,
  traffic,
  rollback,
  wake,
  sleep,
  deleteService,
  apply,
  secret,
  services,
  describe,
  revisions,
  instances,
  logs,
  history,
  secrets,
  exportServices,
  backup,
  token,
];

/** All verbs, in the order of `cless --help`. */
export const VERBS: readonly Verb[] = [...OTHERS, completionsOf(OTHERS)];
