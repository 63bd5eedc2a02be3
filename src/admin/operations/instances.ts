import { z } from "zod";
import { isServiceName } from "../../model/service.ts";
import { ClessError } from "../../base/errors.ts";
import type { Instance } from "../../pool/instance.ts";
import type { Usage } from "../../pool/launcher.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, shown, time } from "../common_fields.ts";
import { tagged } from "../operation.ts";

const operation = tagged("instances");
const instanceView = z.strictObject({
  id: z.string().meta({ description: "Also the container's name" }),
  service: z.string(),
  revision: z.string(),
  state: z.enum(["starting", "ready", "paused", "hibernated", "draining", "stopped", "failed"]).meta({
    description:
      "A ready one serves; a paused or hibernated one wakes with the next request; a draining one gets no more requests. Events tell how an instance ended",
  }),
  address: z.string().meta({ description: "Where the host reaches it; empty until its container runs" }),
  inFlight: z.int().min(0).meta({ description: "How many requests it serves now" }),
  sessions: z.int().min(1).optional().meta({
    description: "How many sessions of operators are open in it, which keep it awake; missing if there are none",
  }),
  memoryBytes: z.int().min(0).optional().meta({
    description:
      "How much memory it uses now, without caches that the kernel could drop at once; missing if it is not known",
  }),
  swapBytes: z.int().min(0).optional().meta({
    description: "How much of its memory is in the machine's swap; missing if it is not known",
  }),
  startedAt: time,
  lastUsedAt: time.optional(),
  failure: z.string().optional().meta({ description: "Why it was replaced, if it has failed" }),
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
    swapBytes: 0,
    startedAt: "2026-11-25T10:00:00.000Z",
    coldStartMs: 231,
  }],
});

/** An instance in JSON. */
export type InstanceJson = z.output<typeof instanceView>;

const params = { name: serviceParam };

/** The instances, and starting and stopping them. */
export function instanceOperations({ control, fleet, meter }: Collaborators) {
  return [
    operation({
      id: "listInstances",
      route: "GET /v1/instances",
      scope: "read",
      summary: "List the instances, oldest first",
      query: { service: z.string().max(100).optional().meta({ description: "Only those of this service" }) },
      answers: { 200: { description: "All instances that have not ended", schema: z.array(instanceView) } },
      run: async ({ query: { service } }) => {
        const usages = await meter.allUsages();
        return json(
          fleet.instances().filter(({ revision }) => service === undefined || revision.service === service)
            .map((instance) => showInstance(instance, usages.get(instance.id))),
        );
      },
    }),
    operation({
      id: "wakeService",
      route: "POST /v1/services/{name}/wake",
      scope: "deploy",
      summary: "Start an instance now",
      params,
      answers: { 204: { description: "One is ready" } },
      errors: ["not_found", "revision_failed", "image_unavailable", "store_unavailable"],
      run: async ({ holder, request, params: { name } }) =>
        await control.wake(checked(name), request.signal, holder.name),
    }),
    operation({
      id: "sleepService",
      route: "POST /v1/services/{name}/sleep",
      scope: "deploy",
      summary: "Stop all instances now",
      description: "Waits until the requests that they serve are answered, or until the drain timeout.",
      params,
      answers: { 204: { description: "None is left" } },
      errors: ["not_found", "store_unavailable"],
      run: async ({ params: { name } }) => await control.sleep(checked(name)),
    }),
  ];
}

/** Refuses invalid names. An unknown name is allowed, since its service may be found by an image's name. */
function checked(name: string): string {
  if (isServiceName(name)) return name;
  throw new ClessError("not_found", `there is no service ${shown(name)}`);
}

function showInstance(instance: Instance, usage: Usage | undefined): z.input<typeof instanceView> {
  const { id, state, requests, sessions, failure, coldStartMs } = instance;
  return {
    id,
    service: instance.revision.service,
    revision: instance.revision.name,
    state,
    address: instance.origin.replace(/^http:\/\//, ""),
    inFlight: requests,
    sessions: sessions === 0 ? undefined : sessions,
    memoryBytes: usage?.bytes,
    swapBytes: usage?.swapBytes,
    startedAt: instance.startedAt.toISOString(),
    lastUsedAt: instance.lastUsedAt?.toISOString(),
    failure,
    coldStartMs,
  };
}
