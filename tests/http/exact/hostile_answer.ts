/** What a client may get if an app sends an answer that is wrong, or only looks so. */
export type Expected =
  /** A 502, and nothing of the answer. */
  | "refused"
  /** The answer's head, and a body that is visibly incomplete. */
  | "cut"
  /** The whole answer. */
  | { readonly status: number; readonly body: string; readonly headers?: readonly (readonly [string, string])[] };

/** An answer that is wrong, or only looks so. */
export interface HostileAnswer {
  readonly name: string;
  /** The bytes on the wire; pieces are sent one after the other, with pauses. */
  readonly pieces: readonly string[];
  readonly expected: Expected;
  /** What happens to the connection: the app closes it, cless closes it, or it is used again. */
  readonly then: "app closes" | "closed" | "used again";
  /** The method of the request; GET if missing. */
  readonly method?: string;
}

/** Line ends. */
export const END = "\r\n\r\n";
/** A good answer with a length, up to its body `ok`. */
export const LENGTH_2 = `HTTP/1.1 200 OK\r\ncontent-length: 2${END}`;
/** The start of a good answer in chunks. */
export const CHUNKED = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked${END}`;
/** The outcome of a good answer. */
export const PASSES = { status: 200, body: "ok" } as const;

/** The head of an answer with these lines. */
export function headOf(lines: readonly string[], statusLine = "HTTP/1.1 200 OK"): string {
  return [statusLine, ...lines].join("\r\n") + END;
}

/** Answers that must not pass at all. */
export function refused(group: string, answers: Readonly<Record<string, string>>, method?: string): HostileAnswer[] {
  return Object.entries(answers).map(([name, answer]) => ({
    name: `${group}: ${name}`,
    pieces: [answer],
    expected: "refused",
    then: "closed",
    ...method === undefined ? {} : { method },
  }));
}

/** Answers whose fault shows only after their head has gone out. */
export function cut(group: string, answers: Readonly<Record<string, string | readonly string[]>>): HostileAnswer[] {
  return Object.entries(answers).map(([name, answer]) => ({
    name: `${group}: ${name}`,
    pieces: typeof answer === "string" ? [answer] : answer,
    expected: "cut",
    then: "closed",
  }));
}

/** Answers that look wrong but are right, over connections that are used again. */
export function good(group: string, answers: Readonly<Record<string, string>>, expected: Expected = PASSES) {
  return Object.entries(answers).map(([name, answer]): HostileAnswer => ({
    name: `${group}: ${name}`,
    pieces: [answer],
    expected,
    then: "used again",
  }));
}
