import { linesOf } from "../base/streams.ts";
import { defined } from "../model/defined.ts";

/** An event of the admin API. */
export interface EventJson {
  /** An event without an id is not kept. */
  readonly id?: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Reads server-sent events. Skips those whose data is not a JSON object.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 *
 * @param signal Ends the iteration as if the body had ended.
 * @param heard Called for each line, also for those that keep a silent stream alive.
 */
export async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
  heard?: () => void,
): AsyncGenerator<EventJson, void, void> {
  let id: string | undefined;
  let type = "message";
  let data: string[] = [];
  for await (const line of linesOf(body, signal)) {
    heard?.();
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
    if (line === "") {
      const object = parseObject(data.join("\n"));
      if (object !== undefined) yield defined({ id, type, data: object });
      [id, type, data] = [undefined, "message", []];
    } else if (field === "id") id = value;
    else if (field === "event") type = value;
    else if (field === "data") data.push(value);
  }
}

/** Parses a JSON object; `undefined` for anything else. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The exit code of a program that Ctrl-C has ended. */
export const INTERRUPTED = 130;

/**
 * Runs something with a signal that Ctrl-C aborts. In that case, the result is {@linkcode INTERRUPTED}, without an
 * error.
 */
export async function untilInterrupted(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const aborter = new AbortController();
  const interrupt = () => aborter.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await run(aborter.signal);
  } catch (error) {
    if (aborter.signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    aborter.abort(); // closes what is still open
  }
}
