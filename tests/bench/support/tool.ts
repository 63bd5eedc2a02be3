import { BenchError } from "./errors.ts";

const decoder = new TextDecoder();

/** A command of another package that the bench uses where it is there. */
export interface Tool {
  readonly command: string;
  /** What prints its version. */
  readonly versionArgs: readonly string[];
  /** Debian's package. */
  readonly package: string;
}

/** The tools by what they are needed for. */
export const TOOLS = {
  wrk: { command: "wrk", versionArgs: ["-v"], package: "wrk" },
  go: { command: "go", versionArgs: ["version"], package: "golang-go" },
  caddy: { command: "caddy", versionArgs: ["version"], package: "caddy" },
  haproxy: { command: "haproxy", versionArgs: ["-v"], package: "haproxy" },
  nginx: { command: "nginx", versionArgs: ["-v"], package: "nginx" },
  openssl: { command: "openssl", versionArgs: ["version"], package: "openssl" },
} as const satisfies Record<string, Tool>;

/** The version of a tool; `undefined` where it is not installed. */
export async function versionOf({ command, versionArgs }: Tool): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await new Deno.Command(command, { args: [...versionArgs] }).output();
    return /\d+(?:\.\d+)+/.exec(decoder.decode(stdout) + decoder.decode(stderr))?.[0] ?? "of unknown version";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The line for a tool that is missing. */
export function howToInstall(...tools: readonly Tool[]): string {
  const [commands, packages] = [tools.map((tool) => tool.command), tools.map((tool) => tool.package)];
  return `not installed: ${commands.join(", ")} (apt-get install ${packages.join(" ")})`;
}

/**
 * Compiles a Go program into a static executable.
 *
 * @throws {BenchError} When Go refuses.
 */
export async function buildGo(source: string, executable: string, signal: AbortSignal): Promise<void> {
  const { success, stderr } = await new Deno.Command(TOOLS.go.command, {
    // What is compiled from the same source is the same, whatever the commit: an image need not be made anew.
    args: ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", executable, "."],
    cwd: source,
    env: { CGO_ENABLED: "0", GOFLAGS: "", GOPROXY: "off", GOTOOLCHAIN: "local", GOWORK: "off" },
    stderr: "piped",
    signal,
  }).output();
  signal.throwIfAborted();
  if (!success) throw new BenchError(`cannot build ${source}: ${decoder.decode(stderr).trim().split("\n").at(-1)}`);
}
