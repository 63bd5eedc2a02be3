/** The name of the cookie by which the admin API knows a browser that has signed in. */
export const ADMIN_COOKIE = "cless-admin";
/**
 * Its name over HTTPS. Cookies whose name begins so can only be set by the same host, over HTTPS, and for all of its
 * paths: https://www.rfc-editor.org/rfc/rfc6265bis#name-the-__host-prefix. So an app on a neighbouring hostname cannot
 * give a browser another session. Over plain HTTP, not all browsers accept them.
 */
export const SECURE_ADMIN_COOKIE = `__Host-${ADMIN_COOKIE}`;

const OWN = new RegExp(`(?:^|[\\s;,])(?:__Host-)?${ADMIN_COOKIE}=`);

/**
 * A value of the header Cookie as an app may see it: without the session of the admin API. Browsers send a cookie to all
 * ports of a host, so also to apps where the admin API is called by the same hostname as they are. A value that could
 * hide a session is left out whole. @returns `undefined` if nothing is left.
 */
export function withoutAdminCookie(value: string): string | undefined {
  if (!value.includes(ADMIN_COOKIE) || !OWN.test(value)) return value;
  const rest = value.split(";").map((pair) => pair.trim()).filter((pair) => !OWN.test(pair)).join("; ");
  return rest === "" || OWN.test(rest) ? undefined : rest;
}
