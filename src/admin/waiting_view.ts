import { z } from "zod";
import { WAITS } from "../control/waiting.ts";
import type { WaitingNow } from "../control/service_waits.ts";
import { time, timeOf } from "./common_fields.ts";

/** What a deploy, a start or a wake waits for, in JSON. The event `service.waiting` has the same fields. */
export const waitingSchema = z.strictObject({
  for: z.enum(WAITS).meta({
    description:
      "`pull` of the image; `handover`: the revision that has the volumes must stop first; `container`: it " +
      "is being made and started; `answer` of the app; `resume` of a sleeping instance",
  }),
  text: z.string().meta({ description: "The same in words, one line" }),
  since: time.meta({ description: "When the deploy or the start began" }),
  image: z.string().optional().meta({ description: "The image that is pulled" }),
  done: z.int().min(0).optional().meta({ description: "How many layers of the image are here" }),
  total: z.int().min(0).optional().meta({ description: "How many layers of the image are known" }),
  revision: z.string().optional(),
  instance: z.string().optional(),
  probed: z.union([
    z.int().min(100).max(999),
    z.enum(["refused", "closed", "garbage", "silent", "unsure"]),
  ]).optional().meta({
    description:
      "What the app did when it was last asked whether it is ready: the status of its answer; `refused` if " +
      "nothing listens; `closed` if the connection ended without an answer; `garbage` if the answer was not HTTP; " +
      "`silent` if there was none; `unsure` if cless was too busy to tell",
  }),
  output: z.string().optional().meta({
    description: "The last line that the app wrote; there only if somebody follows the events, and the start is slow",
  }),
}).meta({
  id: "Waiting",
  description: "What is waited for; missing if nothing is",
  examples: [{
    for: "answer",
    text: "nothing listens on port 8080 yet",
    since: "2026-11-25T10:00:00.000Z",
    revision: "shop-00002",
    instance: "cless-shop-shop-00002-4f6p2k",
    probed: "refused",
    output: "migrating table 3 of 12",
  }],
});

/** What is waited for, in JSON. */
export function showWaiting(waiting: WaitingNow): z.output<typeof waitingSchema> {
  return { ...waiting, since: timeOf(waiting.since) };
}
