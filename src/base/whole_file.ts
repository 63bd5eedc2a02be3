/** Options of {@linkcode writeWhole}. */
export interface WriteWholeOptions {
  /** Whether one that is there makes room; else it stays as it is. */
  readonly replace: boolean;
}

/**
 * Writes a file for nobody else to read, whole or not at all, so that neither a crash nor a power cut leaves half of it. Only
 * one call for a path at a time. What it rejects with is the platform's.
 */
export async function writeWhole(path: string, text: string, { replace }: WriteWholeOptions): Promise<void> {
  const draft = `${path}.new`;
  await removeIfThere(draft); // of a process that was killed
  try {
    {
      using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync(); // else the name could be on disk sooner than the content
    }
    if (replace) await Deno.rename(draft, path);
    else await link(draft, path);
  } finally {
    await removeIfThere(draft);
  }
  using folder = await Deno.open(path.replace(/[^/]*$/, ""), { read: true });
  await folder.sync();
}

/** Gives a file another name, unless something has it already. */
async function link(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
