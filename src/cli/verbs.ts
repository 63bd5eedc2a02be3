import { apply } from "./apply.ts";
import { backup } from "./backup.ts";
import { completionsOf } from "./completions.ts";
import { deploy } from "./deploy.ts";
import { doctor } from "./doctor.ts";
import { events } from "./events.ts";
import { exec } from "./exec.ts";
import { exportServices } from "./export.ts";
import { history } from "./history.ts";
import { https } from "./https.ts";
import { image } from "./image.ts";
import { join } from "./join.ts";
import { deleteService, sleep, wake } from "./lifecycle.ts";
import { describe, instances, revisions, services } from "./look.ts";
import { logs } from "./logs.ts";
import { nodes } from "./nodes.ts";
import { open } from "./open.ts";
import { robots } from "./robots.ts";
import { password } from "./password.ts";
import { secret, secrets } from "./secrets.ts";
import { serve } from "./serve.ts";
import { token } from "./token.ts";
import { top } from "./top.ts";
import { rollback, traffic } from "./traffic.ts";
import { upgrade } from "./upgrade.ts";
import { wakes } from "./wakes.ts";
import { whatIf } from "./what_if.ts";
import type { Verb, VerbGroups } from "./verb.ts";

const OTHERS = {
  Run: [serve, https, join, upgrade, doctor],
  Change: [deploy, traffic, rollback, wake, sleep, exec, deleteService, apply, image, secret, password],
  Look: [
    services,
    top,
    describe,
    open,
    revisions,
    instances,
    nodes,
    logs,
    events,
    wakes,
    whatIf,
    history,
    secrets,
    robots,
  ],
  Keep: [exportServices, backup, token],
};

/** All verbs by their headings in `cless --help`, in its order. */
export const VERB_GROUPS: VerbGroups = {
  ...OTHERS,
  Keep: [...OTHERS.Keep, completionsOf(Object.values(OTHERS).flat())],
};

/** All verbs. */
export const VERBS: readonly Verb[] = Object.values(VERB_GROUPS).flat();
