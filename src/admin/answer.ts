const COMMON = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/** An answer in JSON. */
export function json(value: unknown, { status = 200, headers = {} }: AnswerOptions = {}): Response {
  const all = { "content-type": "application/json", ...COMMON, ...headers };
  return new Response(JSON.stringify(value) + "\n", { status, headers: all });
}

/** Options of an answer. */
export interface AnswerOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of another type. */
export function content(body: BodyInit, type: string, options: AnswerOptions = {}): Response {
  const { status = 200, headers = {} } = options;
  return new Response(body, { status, headers: { "content-type": type, ...COMMON, ...headers } });
}

/** The answer to what is done, and has nothing to say. */
export function done(): Response {
  return new Response(null, { status: 204, headers: COMMON });
}
