/** Changes to the capabilities that containers get by default. Names are as in capabilities(7), without `CAP_`. */
export interface Capabilities {
  readonly add: readonly string[];
  /** `ALL` stands for every capability that is not in `add`. */
  readonly drop: readonly string[];
}

/** What containers get where a template says nothing. */
export interface ContainerDefaults {
  /** The capabilities that containers lose of those that the engine gives. */
  readonly dropped: readonly string[];
  readonly memoryBytes: number | undefined;
  readonly cpus: number | undefined;
}

/**
 * Capabilities of the engine's default that hardly any app needs: raw packets (which can pretend to come from another
 * address), device files, and the kernel's audit log. Podman drops them by default too.
 */
export const DROPPED: readonly string[] = Object.freeze(["AUDIT_WRITE", "MKNOD", "NET_RAW"]);

/** The defaults of revisions that were stored before cless dropped capabilities and limited memory by default. */
export const OLDER_DEFAULTS: ContainerDefaults = Object.freeze({
  dropped: Object.freeze([]),
  memoryBytes: undefined,
  cpus: undefined,
});

/** What the engine gives: https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities */
const OF_ENGINE = new Set([
  ...DROPPED,
  ...["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP"],
  ...["SETUID", "SYS_CHROOT"],
]);

/** The capabilities of Linux: capabilities(7). */
const OF_LINUX = new Set([
  ...OF_ENGINE,
  ...["AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK"],
  ...["IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "PERFMON"],
  ...["SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO"],
  ...["SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM"],
]);

/** Reads the name of a capability, with or without `CAP_`. @throws {RangeError} If Linux has none of that name. */
export function parseCapability(text: string): string {
  const name = text.replace(/^CAP_/, "");
  if (!OF_LINUX.has(name)) throw new RangeError("is no capability of Linux; right is a name such as NET_RAW");
  return name;
}

/** The capabilities to add that the engine gives to no container by default: with some, an app can take the machine. */
export function beyondEngine({ add }: Capabilities): string[] {
  return add.filter((name) => !OF_ENGINE.has(name));
}

/**
 * All changes to the capabilities that the engine gives. The defaults drop some besides those that the template drops,
 * unless the template adds them.
 */
export function withDefaults(
  { add, drop }: Capabilities = { add: [], drop: [] },
  { dropped }: Pick<ContainerDefaults, "dropped">,
): Capabilities {
  const all = drop.includes("ALL") ? ["ALL"] : [...dropped.filter((name) => !add.includes(name)), ...drop];
  return Object.freeze({ add, drop: Object.freeze([...new Set(all)].sort()) });
}
