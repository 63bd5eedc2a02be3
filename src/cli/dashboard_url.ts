import { isLoopback } from "../model/ip.ts";

/**
 * Where a browser finds the dashboard of an admin API.
 *
 * On this machine it has a hostname of its own, since browsers send a cookie to all ports of a hostname: other programs
 * on this machine would get the session, if it were that of 127.0.0.1.
 *
 * @param server The address of the admin API, such as `http://127.0.0.1:1323`.
 */
export function dashboardUrl(server: string): string {
  const url = new URL(server);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (url.protocol === "http:" && (host === "localhost" || /^[0.:]+$/.test(host) || isLoopback(host))) {
    url.hostname = "admin.localhost";
  }
  return url.href;
}
