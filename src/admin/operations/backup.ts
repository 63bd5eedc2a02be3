import { z } from "zod";
import { json } from "../answer.ts";
import { operation } from "../operation.ts";

/** Copies of what another machine needs to go on. */
export const backupOperation = operation({
  id: "backUp",
  method: "get",
  path: "/v1/backup",
  scope: "admin",
  tag: "backup",
  summary: "Copy the database, the key and the id of this data-dir, while they are in use",
  description: "Whoever has the answer has the secrets.",
  answers: {
    200: {
      description: "The files",
      schema: z.strictObject({ files: z.array(z.strictObject({ name: z.string(), base64: z.string() })) })
        .meta({ id: "Backup" }),
    },
  },
  errors: ["store_unavailable"],
  run: async ({ parts }) => {
    const files = await parts.backup();
    return json({ files: files.map(({ name, bytes }) => ({ name, base64: bytes.toBase64() })) });
  },
});
