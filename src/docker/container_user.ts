import type { Capabilities } from "../model/isolation.ts";

/** The user that an app runs as. */
export interface ContainerUser {
  readonly uid: number;
  /** Its group, and the further ones. */
  readonly groups: readonly number[];
}

/** A folder's owner and permissions. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** The files of a container that say who its users are: passwd(5) and group(5). Empty if there is none. */
export interface UserFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * Whether the files are needed to know a user. @param user `USER[:GROUP]`, names or numbers; empty for root.
 */
export function needsFiles(user: string): boolean {
  return user !== "" && !/^\d+:\d+$/.test(user);
}

/**
 * The user that a container's app runs as, as the engine finds it out; `undefined` if the files do not have it.
 * https://docs.docker.com/reference/dockerfile/#user
 *
 * @param user `USER[:GROUP]`, names or numbers; empty for root.
 */
export function containerUser(user: string, files: UserFiles): ContainerUser | undefined {
  const [name = "", groupName] = (user === "" ? "0:0" : user).split(":");
  const entries = linesOf(files.passwd);
  const entry = entries.find(([known, , id]) => known === name || id === name);
  const uid = Number(entry?.[2] ?? name);
  const groups = linesOf(files.group);
  const gid = groupName === undefined
    ? Number(entry?.[3] ?? 0)
    : Number(groups.find(([known]) => known === groupName)?.[2] ?? groupName);
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) return undefined;
  // With a group of its own, the engine gives the user no further ones.
  const further = groupName === undefined && entry !== undefined
    ? groups.filter(([, , , members = ""]) => members.split(",").includes(entry[0]!)).map(([, , id]) => Number(id))
    : [];
  return { uid, groups: [gid, ...further] };
}

/** Whether the capabilities of root let it write everywhere. */
export function overrides({ uid }: ContainerUser, { add, drop }: Capabilities): boolean {
  const dropped = (drop.includes("ALL") || drop.includes("DAC_OVERRIDE")) && !add.includes("DAC_OVERRIDE");
  return uid === 0 && !dropped;
}

/** Whether a user may create files in a folder. Knows nothing of access control lists. */
export function mayWrite({ groups, uid }: ContainerUser, folder: Ownership): boolean {
  const shift = uid === folder.uid ? 6 : groups.includes(folder.gid) ? 3 : 0;
  return ((folder.mode >> shift) & 0o3) === 0o3; // to write, and to enter
}

function linesOf(text: string): string[][] {
  return text.split("\n").filter((line) => line.includes(":")).map((line) => line.trim().split(":"));
}
