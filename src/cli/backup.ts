import { basename, dirname, resolve } from "node:path";
import { writeAtomically } from "../base/atomic_file.ts";
import { OperatorError, plainMessageOf } from "../base/errors.ts";
import { flag } from "./flags.ts";
import { clientVerb, printResult } from "./verb.ts";

interface BackupFile {
  readonly name: string;
  readonly base64: string;
}

/** `cless backup`: writes a copy of the data-dir into a folder. */
export const backup = clientVerb({
  name: "backup",
  summary: "Write a copy of everything that cless stores into a folder, while it runs",
  args: ["DIR"],
  flags: [flag("--json", "Print the names and sizes of the files as JSON"), flag("-q, --quiet", "Print nothing")],
  notes: [
    "The folder must be empty or not exist yet. It contains the key of the secrets: keep it where nobody else can read it. To restore, stop cless, put the files into its data-dir, and start it.",
  ],
  example: ["sudo cless backup /var/backups/cless-monday"],
  run: async (call) => {
    const folder = resolve(call.args[0]!);
    await checkEmpty(folder);
    const { files } = await call.client.get<{ files: BackupFile[] }>("/v1/backup");
    const written = await writeFolder(folder, files);
    const lines = written.map(({ name, size }) => `${folder}/${name}  ${size} bytes`);
    printResult(call, { folder, files: written }, lines.join("\n"));
  },
});

async function checkEmpty(folder: string): Promise<void> {
  try {
    for await (const _ of Deno.readDir(folder)) throw new OperatorError(`${folder} is not empty; name another folder`);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    if (!(error instanceof Deno.errors.NotFound)) throw failure(folder, error);
  }
}

/** Writes the files into a temporary folder, which gets its final name once it is complete. */
async function writeFolder(folder: string, files: readonly BackupFile[]): Promise<{ name: string; size: number }[]> {
  let draft: string | undefined;
  try {
    await Deno.mkdir(dirname(folder), { recursive: true, mode: 0o700 });
    draft = await Deno.makeTempDir({ dir: dirname(folder), prefix: `.${basename(folder)}-` });
    await Deno.chmod(draft, 0o700);
    const written = [];
    for (const { name, base64 } of files) {
      if (!/^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/.test(name)) throw new Error(`"${name}" is not a valid name of a file`);
      const bytes = Uint8Array.fromBase64(base64);
      writeAtomically(`${draft}/${name}`, bytes);
      written.push({ name, size: bytes.length });
    }
    await Deno.rename(draft, folder);
    return written;
  } catch (error) {
    if (draft !== undefined) await Deno.remove(draft, { recursive: true }).catch(() => {});
    throw failure(folder, error);
  }
}

function failure(folder: string, error: unknown): OperatorError {
  return new OperatorError(`cannot write the backup ${folder}: ${plainMessageOf(error)}`);
}
