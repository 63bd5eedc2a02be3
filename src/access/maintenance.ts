import { ClessError } from "../base/errors.ts";
import { fill } from "../http/html_template.ts";
import { prefersHtml, problem } from "../http/problem.ts";
import template from "./maintenance.html" with { type: "text" };

/** When clients may try again: nobody has said when the maintenance ends. */
const RETRY_AFTER_S = 60;

/** The response during maintenance: a page if the client prefers HTML, else problem+json. @param text For everybody. */
export function maintenanceAnswer(text: string, request: Request): Response {
  const response = problem(new ClessError("maintenance", text, { retryAfterS: RETRY_AFTER_S }), request);
  if (!prefersHtml(request)) return response;
  const { headers, status } = response;
  const nonce = crypto.randomUUID();
  headers.set(
    "content-security-policy",
    `default-src 'none'; style-src 'nonce-${nonce}'; img-src data:; base-uri 'none'; form-action 'none'`,
  );
  headers.set("x-content-type-options", "nosniff");
  return new Response(fill(template, { text, nonce }), { status, headers });
}
