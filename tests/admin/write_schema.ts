// Writes docs/schema.json, the schema of the file of services, from the schemas that check it.
import { fileSchema } from "../../src/admin/service_schema.ts";

const file = new URL("../../docs/schema.json", import.meta.url);
await Deno.writeTextFile(file, JSON.stringify(fileSchema(), null, 2) + "\n");
