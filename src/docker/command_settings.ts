/**
 * Whether the docker command gives a container more than it is told to: the proxies that are in its settings. Where that
 * cannot be told, it may.
 *
 * @param path The file of its settings.
 */
export async function addsToContainers(path: string): Promise<boolean> {
  try {
    const settings = Object.keys(JSON.parse(await Deno.readTextFile(path)));
    return settings.some((name) => name.toLowerCase() === "proxies"); // the command does not mind how it is written
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
