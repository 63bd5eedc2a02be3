import { z } from "zod";
import { isServiceName } from "../../model/hostname.ts";
import { ClessError } from "../../base/errors.ts";
import type { Instance } from "../../pool/instance.ts";
import { done, json } from "../answer.ts";
import { serviceParam } from "../names.ts";
import { operation } from "../operation.ts";
import { time } from "../views.ts";

const instanceView = z.strictObject({
  id: z.string().meta({ description: "Also the container's name" }),
  service: z.string(),
  revision: z.string(),
  state: z.enum(["starting", "ready", "paused", "draining", "stopped", "failed"]).meta({
    description: "Ready and paused ones serve; one that drains gets no more requests. Events tell how one has ended",
  }),
  address: z.string().meta({ description: "Where the host reaches it; empty until the container runs" }),
  inFlight: z.int().min(0).meta({ description: "How many requests it serves now" }),
  memoryBytes: z.int().min(0).optional().meta({
    description:
      "How much memory it uses now, without what the kernel could drop at once; missing where that is not known",
  }),
  startedAt: time,
  lastUsedAt: time.optional(),
  failure: z.string().optional().meta({ description: "Why it is taken out, where it has failed" }),
  coldStartMs: z.number().min(0).optional().meta({ description: "From the start to the first good answer" }),
}).meta({
  id: "Instance",
  examples: [{
    id: "cless-shop-shop-00001-x1y2",
    service: "shop",
    revision: "shop-00001",
    state: "ready",
    address: "172.18.0.2:8080",
    inFlight: 0,
    memoryBytes: 25165824,
    startedAt: "2026-11-25T10:00:00.000Z",
    coldStartMs: 231,
  }],
});

const params = { name: serviceParam };

/** The instances, and what has them start and stop. */
export const instanceOperations = [
  operation({
    id: "listInstances",
    method: "get",
    path: "/v1/instances",
    scope: "read",
    tag: "instances",
    summary: "List the instances, oldest first",
    query: { service: z.string().max(100).optional().meta({ description: "Only those of this service" }) },
    answers: { 200: { description: "All that have not ended", schema: z.array(instanceView) } },
    run: async ({ parts, query: { service } }) => {
      const memory = await parts.memory();
      return json(
        parts.fleet.instances().filter(({ revision }) => service === undefined || revision.service === service)
          .map((instance) => showInstance(instance, memory.get(instance.id))),
      );
    },
  }),
  operation({
    id: "wakeService",
    method: "post",
    path: "/v1/services/{name}/wake",
    scope: "deploy",
    tag: "instances",
    summary: "Start an instance now",
    params,
    answers: { 204: { description: "One is ready" } },
    errors: ["not_found", "revision_failed", "image_unavailable", "store_unavailable"],
    run: async ({ parts, request, params: { name } }) => {
      await parts.control.wake(checked(name), request.signal);
      return done();
    },
  }),
  operation({
    id: "sleepService",
    method: "post",
    path: "/v1/services/{name}/sleep",
    scope: "deploy",
    tag: "instances",
    summary: "Stop all instances now",
    description: "After what they serve is answered, or the drain timeout.",
    params,
    answers: { 204: { description: "None is left" } },
    errors: ["not_found", "store_unavailable"],
    run: async ({ parts, params: { name } }) => {
      await parts.control.sleep(checked(name));
      return done();
    },
  }),
];

/** A name that a service could have; one that was never used may be found by its image yet. */
function checked(name: string): string {
  if (isServiceName(name)) return name;
  throw new ClessError("not_found", "There is no service of this name");
}

function showInstance(instance: Instance, memoryBytes: number | undefined): z.input<typeof instanceView> {
  const { coldStartMs, failure, lastUsedAt } = instance;
  return {
    id: instance.id,
    service: instance.revision.service,
    revision: instance.revision.name,
    state: instance.state,
    address: instance.origin.replace(/^http:\/\//, ""),
    inFlight: instance.inFlight,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    startedAt: instance.startedAt.toISOString(),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt: lastUsedAt.toISOString() }),
    ...(failure === undefined ? {} : { failure }),
    ...(coldStartMs === undefined ? {} : { coldStartMs }),
  };
}
