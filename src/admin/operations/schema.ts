import { z } from "zod";
import { json } from "../answer.ts";
import { fileSchema } from "../document/file_schema.ts";
import { operation } from "../operation.ts";

/** `GET /schema.json`. */
export const schemaOperation = operation({
  id: "showSchema",
  method: "get",
  path: "/schema.json",
  scope: "read",
  tag: "about",
  summary: "The JSON Schema of the file of services, for editors",
  answers: { 200: { description: "JSON Schema 2020-12", schema: z.record(z.string(), z.unknown()) } },
  run: () => json(fileSchema()),
});
