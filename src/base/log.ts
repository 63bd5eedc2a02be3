import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import type { LogFormat, LogLevel } from "./config.ts";

const encoder = new TextEncoder();
/** If the pipe of the log stays full for this long, the line is dropped. No request is served meanwhile. */
const MAX_WAIT_MS = 1000;
/** Never notified: waiting for it is a synchronous sleep. */
const BELL = new Int32Array(new SharedArrayBuffer(4));
const COLOURS: Record<string, string> = { debug: "\x1b[90m", info: "\x1b[32m", warning: "\x1b[33m", error: "\x1b[31m" };

/** The logger of one part of the program. Messages are constant; whatever varies is a field. */
export function logger(part: string): Logger {
  return getLogger(["cless", part]);
}

/** Sets up logging, one line per record on stderr. Before this call, nothing is logged. */
export function configureLogging(settings: { format: LogFormat; level: LogLevel; colour: boolean }): void {
  const format = settings.format === "json" ? jsonLine : (record: LogRecord) => textLine(record, settings.colour);
  const write = lineWriter();
  configureSync({
    reset: true,
    sinks: { stderr: (record) => write(format(record)) },
    loggers: [
      { category: "cless", lowestLevel: settings.level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}

/** Writes lines whole and synchronously: the library's asynchronous sinks lose lines under load. */
function lineWriter(): (line: string) => void {
  let waitLeftMs = MAX_WAIT_MS;
  return (line) => {
    let rest = encoder.encode(line + "\n");
    while (rest.length > 0) {
      try {
        rest = rest.subarray(Deno.stderr.writeSync(rest));
        waitLeftMs = MAX_WAIT_MS;
      } catch (error) {
        // Nobody reads the log any more, which cannot be reported anywhere else.
        if (!(error instanceof Deno.errors.WouldBlock) || waitLeftMs === 0) return;
        Atomics.wait(BELL, 0, 0, 1); // the pipe is full, and another process has made it non-blocking
        waitLeftMs--;
      }
    }
  };
}

function messageOf(record: LogRecord): string {
  return record.message.map(String).join("");
}

/** A record as one line of JSON. */
export function jsonLine(record: LogRecord): string {
  const head = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    part: record.category[1],
    message: messageOf(record),
  };
  // `head` comes first for the order of the keys, and again last so that no field replaces it.
  return JSON.stringify({ ...head, ...record.properties, ...head });
}

/** A record as one line of text. */
export function textLine(record: LogRecord, colour: boolean): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  const level = record.level.slice(0, 4).toUpperCase();
  const fields = Object.entries(record.properties)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      `${name}=${typeof value === "string" && /^[^\s"=\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value)}`
    );
  const shown = colour ? `${COLOURS[record.level] ?? ""}${level}\x1b[0m` : level;
  return [time, shown.padEnd(4), messageOf(record), ...fields].join(" ");
}
