import { grep, shell } from "../../base/machine.ts";

/** The folders of a container's control groups. */
export interface Folders {
  /** Has the files that freeze it. */
  readonly freezer: string;
  /** Has the files of its memory; with version 2, the same folder. */
  readonly memory: string;
}

/**
 * For each control group of a container: the controller ("0:" means version 2), the engine's id, and the path. A
 * container's process may be in a group below. The formats: cgroups(7), "/proc/PID/cgroup". The names:
 * https://docs.docker.com/engine/containers/runmetrics/
 */
const LIST = "sed -nE " +
  "'s#^(0:|[0-9]+:freezer|[0-9]+:memory):((/.*)?/(docker-)?([0-9a-f]{64})(\\.scope)?)(/.*)?$#\\1 \\5 \\2#p' " +
  "/proc/[0-9]*/cgroup 2>/dev/null | sort -u";

/** The control groups of all containers with processes on this machine, by the engine's ids. Looks at all processes. */
export async function containerCgroups(root = "/sys/fs/cgroup"): Promise<Map<string, Folders>> {
  const found = new Map<string, Map<string, string>>();
  for (const line of (await shell(LIST)).split("\n")) {
    const [controller = "", id, path] = line.split(" ");
    // The helper takes no folders with spaces; the engine pauses such a container.
    if (id === undefined || path === undefined || line.split(" ").length > 3) continue;
    const paths = found.get(id) ?? new Map();
    found.set(id, paths.set(controller.replace(/^\d+:/, ""), path));
  }
  // Where a machine has both versions, the engine uses version 1.
  const folder = (paths: ReadonlyMap<string, string>, controller: string) => {
    const path = paths.get(controller);
    return path === undefined ? `${root}${paths.get("")}` : `${root}/${controller}${path}`;
  };
  return new Map(
    [...found].map(([id, paths]) => [id, { freezer: folder(paths, "freezer"), memory: folder(paths, "memory") }]),
  );
}

/** Those of the folders whose processes are frozen, or about to be. */
export async function frozenFolders(folders: readonly string[]): Promise<Set<string>> {
  const files = folders.flatMap((folder) => [`${folder}/freezer.state`, `${folder}/cgroup.freeze`]);
  const found = files.length === 0 ? [] : await grep("^(FROZEN|FREEZING|1)$", files);
  return new Set(found.map(({ file }) => file.slice(0, file.lastIndexOf("/"))));
}
