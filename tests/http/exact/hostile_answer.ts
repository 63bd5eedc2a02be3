/** What a client may get to see of an answer that is wrong, or only looks so. */
export type Expected =
  /** A 502 of cless, and nothing of the answer. */
  | "refused"
  /** The answer's head, and a body that visibly does not come to its end. */
  | "cut"
  /** The answer, as it is meant. */
  | { readonly status: number; readonly body: string; readonly headers?: readonly (readonly [string, string])[] };

/** An answer that an app ought not to give, or may give although it looks wrong. */
export interface HostileAnswer {
  readonly name: string;
  /** What goes over the wire; several pieces are sent one after the other, with pauses. */
  readonly pieces: readonly string[];
  readonly expected: Expected;
  /** What happens to the connection: the app closes it, or cless does, or it can be used again. */
  readonly then: "app closes" | "closed" | "used again";
  /** Of the request; GET where it does not matter. */
  readonly method?: string;
}

/** The blank line and the line's end, so often that a name is worth it. */
export const END = "\r\n\r\n";
/** A good answer with a length, up to its body `ok`. */
export const LENGTH_2 = `HTTP/1.1 200 OK\r\ncontent-length: 2${END}`;
/** The start of a good answer in chunks. */
export const CHUNKED = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked${END}`;
/** What the good answers are to come to. */
export const PASSES = { status: 200, body: "ok" } as const;

/** The head of an answer with these lines. */
export function headOf(lines: readonly string[], statusLine = "HTTP/1.1 200 OK"): string {
  return [statusLine, ...lines].join("\r\n") + END;
}

/** Answers of which nothing may pass. */
export function refused(group: string, answers: Readonly<Record<string, string>>, method?: string): HostileAnswer[] {
  return Object.entries(answers).map(([name, answer]) => ({
    name: `${group}: ${name}`,
    pieces: [answer],
    expected: "refused",
    then: "closed",
    ...method === undefined ? {} : { method },
  }));
}

/** Answers whose fault shows only when their head has gone out. */
export function cut(group: string, answers: Readonly<Record<string, string | readonly string[]>>): HostileAnswer[] {
  return Object.entries(answers).map(([name, answer]) => ({
    name: `${group}: ${name}`,
    pieces: typeof answer === "string" ? [answer] : answer,
    expected: "cut",
    then: "closed",
  }));
}

/** Answers that look wrong and are right, over connections that can be used again. */
export function good(group: string, answers: Readonly<Record<string, string>>, expected: Expected = PASSES) {
  return Object.entries(answers).map(([name, answer]): HostileAnswer => ({
    name: `${group}: ${name}`,
    pieces: [answer],
    expected,
    then: "used again",
  }));
}
