/** Changes to the capabilities that containers get by default. Names are as in capabilities(7), without `CAP_`. */
export interface Capabilities {
  readonly add: readonly string[];
  /** `ALL` stands for every capability that is not in `add`. */
  readonly drop: readonly string[];
}

/** The settings that a container gets if its template leaves them out. */
export interface ContainerDefaults {
  /** The capabilities that the engine gives by default, but cless drops. */
  readonly dropped: readonly string[];
  readonly memoryBytes: number | undefined;
  readonly cpus: number | undefined;
}

/**
 * Capabilities of the engine's default that hardly any app needs: raw packets (which can pretend to come from another
 * address), device files, and the kernel's audit log. Podman drops them by default too.
 */
export const DROPPED: readonly string[] = Object.freeze(["AUDIT_WRITE", "MKNOD", "NET_RAW"]);

/**
 * The defaults for revisions from versions of cless that neither dropped capabilities nor limited memory by default.
 */
export const OLDER_DEFAULTS: ContainerDefaults = Object.freeze({
  dropped: Object.freeze([]),
  memoryBytes: undefined,
  cpus: undefined,
});

/** The engine's default: https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities */
const ENGINE_DEFAULT = new Set([
  ...DROPPED,
  ...["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP"],
  ...["SETUID", "SYS_CHROOT"],
]);

/** All capabilities of Linux: capabilities(7). */
const LINUX_CAPABILITIES = new Set([
  ...ENGINE_DEFAULT,
  ...["AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK"],
  ...["IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "PERFMON"],
  ...["SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO"],
  ...["SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM"],
]);

/** Reads the name of a capability, with or without `CAP_`. @throws {RangeError} If Linux has no such capability. */
export function parseCapability(text: string): string {
  const name = text.replace(/^CAP_/, "");
  if (!LINUX_CAPABILITIES.has(name)) {
    throw new RangeError("is not a capability of Linux; expected a name such as NET_RAW");
  }
  return name;
}

/**
 * The added capabilities that the engine does not give by default. With some of them, an app can take over the machine.
 */
export function beyondEngine({ add }: Capabilities): string[] {
  return add.filter((name) => !ENGINE_DEFAULT.has(name));
}

/** Adds the defaults to a template's capabilities. A capability dropped by default is kept if the template adds it. */
export function withDefaults(
  { dropped }: Pick<ContainerDefaults, "dropped">,
  { add, drop }: Capabilities = { add: [], drop: [] },
): Capabilities {
  const all = drop.includes("ALL") ? ["ALL"] : [...dropped.filter((name) => !add.includes(name)), ...drop];
  return Object.freeze({ add, drop: Object.freeze([...new Set(all)].sort()) });
}
