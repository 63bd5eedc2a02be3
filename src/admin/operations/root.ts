import { z } from "zod";
import { json } from "../answer.ts";
import { operation } from "../operation.ts";
import { PURPOSE } from "../purpose.ts";

const RESOURCES = {
  services: "/v1/services",
  instances: "/v1/instances",
  events: "/v1/events",
  secrets: "/v1/secrets",
  tokens: "/v1/tokens",
  metrics: "/metrics",
  openapi: "/openapi.json",
  schema: "/schema.json",
};

/** `GET /`: where to go on. */
export const rootOperation = operation({
  id: "showRoot",
  method: "get",
  path: "/",
  scope: "read",
  tag: "about",
  summary: "What the API is for, and where its resources are",
  answers: {
    200: {
      description: "The paths by what they are",
      schema: z.record(z.string(), z.string()).meta({ examples: [{ purpose: PURPOSE, ...RESOURCES }] }),
    },
  },
  run: () => json({ purpose: PURPOSE, ...RESOURCES }),
});
