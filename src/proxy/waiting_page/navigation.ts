import { prefersHtml } from "../../http/html.ts";
import type { RequestHead } from "../../http/request_head.ts";

/** Whether a browser asks for a page to show it, as far as headers tell: scripts and other programs do not read pages. */
export function isNavigation(request: Request, head: RequestHead): boolean {
  if (head.method !== "GET" || head.websocket) return false;
  // Browsers send it over HTTPS, and to localhost: https://www.w3.org/TR/fetch-metadata/
  const mode = request.headers.get("sec-fetch-mode");
  return (mode === null || mode === "navigate") && prefersHtml(request);
}
