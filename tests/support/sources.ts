/** The folder of the project. */
export const ROOT = new URL("../../", import.meta.url);

/** The files by path, with the text of each. */
export type Sources = Record<string, string>;

/** A source without its comments. */
export function codeOf(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

/** The path that a relative specifier in a file means. */
export function resolve(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

/** main.ts and everything in src/. */
export async function readSources(): Promise<Sources> {
  const sources: Sources = { "main.ts": await Deno.readTextFile(new URL("main.ts", ROOT)) };
  const read = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      if (isDirectory) await read(`${folder}${name}/`);
      else if (name.endsWith(".ts")) {
        sources[`${folder}${name}`] = await Deno.readTextFile(new URL(`${folder}${name}`, ROOT));
      }
    }
  };
  await read("src/");
  return sources;
}
