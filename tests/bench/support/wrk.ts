import type { Count } from "./count.ts";
import { BenchError } from "./errors.ts";

const decoder = new TextDecoder();

/** What wrk sends. */
export interface WrkOptions {
  /** A path of the proxy's loopback address, such as `http://127.0.0.1:8080/12`. */
  readonly url: string;
  readonly host: string;
  readonly seconds: number;
  readonly connections: number;
  /** Other headers than Host, such as `Connection: close`. */
  readonly headers?: readonly string[];
  /** A Lua script that makes other requests than GETs. */
  readonly script?: string | undefined;
}

/**
 * Puts a proxy under load.
 *
 * @throws {BenchError} When there was any answer but a 2xx or 3xx, or none.
 */
export async function wrk(options: WrkOptions, signal: AbortSignal): Promise<Count> {
  const { connections, headers = [], host, script, seconds, url } = options;
  const { success, stdout, stderr } = await new Deno.Command("wrk", {
    args: [
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "--latency",
      ...[`Host: ${host}`, ...headers].flatMap((header) => ["-H", header]),
      ...(script === undefined ? [] : ["-s", script]),
      url,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.any([signal, AbortSignal.timeout((seconds + 30) * 1000)]),
  }).output();
  signal.throwIfAborted();
  if (!success) throw new BenchError(`wrk has failed: ${decoder.decode(stderr).trim().split("\n").at(-1)}`);
  return readReport(decoder.decode(stdout));
}

/**
 * Reads what wrk prints.
 *
 * @throws {BenchError} When it tells of failures, or is not understood.
 */
export function readReport(report: string): Count {
  const failure = /^ *(Non-2xx or 3xx responses|Socket errors): .*$/m.exec(report)?.[0];
  if (failure !== undefined) throw new BenchError(`wrk: ${failure.trim()}`);
  const requests = Number(/^ *(\d+) requests in /m.exec(report)?.[1]);
  const requestsPerSecond = Number(/^Requests\/sec: +([\d.]+)$/m.exec(report)?.[1]);
  const [, p99, unit] = /^ +99% +([\d.]+)(us|ms|s)$/m.exec(report) ?? [];
  const p99Ms = Number(p99) * (unit === "us" ? 0.001 : unit === "ms" ? 1 : 1000);
  if (!(requests > 0 && requestsPerSecond > 0 && p99Ms > 0)) throw new BenchError(`cannot read what wrk printed`);
  return { requests, requestsPerSecond, p99Ms };
}
