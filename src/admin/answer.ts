const encoder = new TextEncoder();
const COMMON = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/** An answer in JSON; what is `undefined` in it is left out. */
export function json(value: unknown, { status = 200, headers = {} }: AnswerOptions = {}): Response {
  return content(JSON.stringify(value) + "\n", "application/json", { status, headers });
}

/** Options of an answer. */
export interface AnswerOptions {
  /** 200 where nothing is said. */
  readonly status?: number;
  /** Beside those that every answer has, or in their place. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of another type. Its length is told where it is known, so that HEAD can tell it too. */
export function content(body: BodyInit, type: string, options: AnswerOptions = {}): Response {
  const { status = 200, headers = {} } = options;
  const bytes = typeof body === "string" ? encoder.encode(body) : undefined;
  const length = bytes === undefined ? {} : { "content-length": String(bytes.length) };
  return new Response(bytes ?? body, { status, headers: { "content-type": type, ...length, ...COMMON, ...headers } });
}

/** The answer to what is done, and has nothing to say. */
export function done(): Response {
  return new Response(null, { status: 204, headers: COMMON });
}
