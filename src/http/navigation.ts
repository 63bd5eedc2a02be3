import { prefersHtml } from "./problem.ts";
import type { RequestHead } from "./request_head.ts";

/** Whether a request comes from a browser that is to show a page, to judge by its headers. */
export function isNavigation(request: Request, head: RequestHead): boolean {
  if (head.method !== "GET" || head.websocket) return false;
  // Browsers send this header over HTTPS and to localhost only: https://www.w3.org/TR/fetch-metadata/
  const mode = request.headers.get("sec-fetch-mode");
  return (mode === null || mode === "navigate") && prefersHtml(request);
}
