/** The settings of the docker command, by their names in lower case: it ignores their case. */
export type CommandSettings = ReadonlyMap<string, unknown>;

/**
 * Reads the `config.json` of the docker command; empty if there is none. It has passwords in it, and so may the message of
 * an error that says where it is malformed.
 *
 * @throws {SyntaxError | TypeError} If it is not an object of JSON. @throws If it cannot be read.
 */
export async function readCommandSettings(folder: string): Promise<CommandSettings> {
  try {
    const settings = Object.entries(JSON.parse(await Deno.readTextFile(`${folder}/config.json`)));
    return new Map(settings.map(([name, value]) => [name.toLowerCase(), value]));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}
