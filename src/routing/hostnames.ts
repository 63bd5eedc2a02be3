import type { Config } from "../base/config.ts";

/** The hostnames that lead to the admin API, whatever is declared. */
export function adminHostnames({ domain }: Config): string[] {
  return [`admin.${domain}`, "admin.localhost"];
}
