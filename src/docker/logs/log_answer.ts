import { piecesOf } from "../../base/streams.ts";
import { canonicalTime } from "../../model/time.ts";
import type { LogLine, LogOptions } from "../engine_api.ts";
import { framesOf } from "../frames.ts";
import { LogSplitter } from "./log_splitter.ts";

/** The query of a request for the log of a container, or of a Swarm's service. */
export function logQuery({ follow = false, since, tail }: LogOptions): URLSearchParams {
  const query = new URLSearchParams({ stdout: "true", stderr: "true", timestamps: "true", follow: `${follow}` });
  if (tail !== undefined) query.set("tail", `${tail}`);
  if (since !== undefined) query.set("since", unixTime(since));
  return query;
}

/** The lines of the answer to such a request. Both streams come over one connection. */
export async function* logLines(
  bytes: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<LogLine, void, void> {
  const splitters = { stdout: new LogSplitter("stdout"), stderr: new LogSplitter("stderr") };
  for await (const part of framesOf(piecesOf(bytes, signal))) yield* splitters[part.stream].push(part.bytes);
  yield* [...splitters.stdout.end(), ...splitters.stderr.end()];
}

/** An RFC 3339 time as seconds since 1970 with nanoseconds, for queries. */
function unixTime(time: string): string {
  const utc = canonicalTime(time);
  return utc === undefined ? time : `${Date.parse(`${utc.slice(0, 19)}Z`) / 1000}.${utc.slice(20, 29)}`;
}
