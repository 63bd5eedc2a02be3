import { plainMessageOf } from "../../base/errors.ts";

/** The folders of this machine that containers may be given. */
export class HostPaths {
  readonly #allowed: readonly string[];
  readonly #realPath: (path: string) => Promise<string>;

  /**
   * @param allowed What lies in one of these may be used, and they themselves; absolute.
   * @param realPath Follows all symbolic links of a path; rejects with `NotFound` where there is nothing.
   */
  constructor(allowed: readonly string[], realPath: (path: string) => Promise<string>) {
    this.#allowed = allowed.map((path) => path.replace(/\/+$/, ""));
    this.#realPath = realPath;
  }

  /**
   * Why a folder may not be used; `undefined` where it may. On the way there from the folder that is allowed there may be
   * no symbolic link: whoever can write there could lead it anywhere.
   *
   * @param path Absolute, without `.`, `..` and empty parts.
   */
  async problem(path: string): Promise<string | undefined> {
    const allowed = this.#allowed.filter((folder) => path === folder || path.startsWith(`${folder}/`));
    if (allowed.length === 0) {
      return this.#allowed.length === 0
        ? "is a folder of the host, and none may be used; allow some with --allow-host-path"
        : "is not in one of the folders of --allow-host-path";
    }
    let problem: string | undefined;
    for (const folder of allowed) {
      problem = await this.#problemBelow(folder, path);
      if (problem === undefined) return undefined;
    }
    return problem;
  }

  async #problemBelow(folder: string, path: string): Promise<string | undefined> {
    try {
      const root = await this.#realPath(folder === "" ? "/" : folder);
      const { real, rest } = await this.#real(path);
      const expected = `${root === "/" ? "" : root}${path.slice(folder.length)}`;
      const found = `${real === "/" ? "" : real}${rest}`;
      if ((expected || "/") !== (found || "/")) return "leads over a symbolic link, which is not allowed";
      // The engine would refuse it too, but only when the one that had the volume has been stopped for it.
      return rest === "" ? undefined : "is not there; make it first";
    } catch (error) {
      return `cannot be used: ${plainMessageOf(error)}`;
    }
  }

  /** Where the part of a path that is there leads to, and the part that is not there yet. */
  async #real(path: string): Promise<{ real: string; rest: string }> {
    let there = path;
    while (true) {
      try {
        return { real: await this.#realPath(there === "" ? "/" : there), rest: path.slice(there.length) };
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) || there === "") throw error;
        there = there.slice(0, there.lastIndexOf("/"));
      }
    }
  }
}
