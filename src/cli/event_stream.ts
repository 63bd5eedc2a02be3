import { linesOf } from "./lines.ts";

/** An event of the admin API: its data with its type. */
export interface EventJson {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Reads server-sent events whose data is JSON; what is none is passed over.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 *
 * @param signal Ends them, as if there were no more.
 */
export async function* eventsOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal?: AbortSignal,
): AsyncGenerator<EventJson> {
  let type = "message";
  let data: string[] = [];
  for await (const line of linesOf(body, signal)) {
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
    if (line === "") {
      const read = parseData(data.join("\n"));
      if (read !== undefined) yield { type, data: read };
      [type, data] = ["message", []];
    } else if (field === "event") type = value;
    else if (field === "data") data.push(value);
  }
}

function parseData(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
