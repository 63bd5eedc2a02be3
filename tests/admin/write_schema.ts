// Writes docs/schema.json, the JSON Schema of the file that declares services.
import { fileSchema } from "../../src/admin/service_schema.ts";

const file = new URL("../../docs/schema.json", import.meta.url);
await Deno.writeTextFile(file, JSON.stringify(fileSchema(), null, 2) + "\n");
