const encoder = new TextEncoder();

/**
 * Writes a line to stdout, for output that may have no end: unlike `console.log`, it tells when nobody reads any more.
 *
 * @returns Whether it has been written.
 */
export async function writeLine(line: string): Promise<boolean> {
  let rest = encoder.encode(`${line}\n`);
  try {
    while (rest.length > 0) rest = rest.subarray(await Deno.stdout.write(rest));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}
