// @ts-check
/**
 * The address of a screen: `#/services/shop/logs?q=error`. It is after the `#`, so that the server has one page and
 * gets no names of services in it.
 */

/** @typedef {{ screen: "services" | "service" | "what-if" | "deploy" | "nowhere", name: string, section: string, query: Record<string, string> }} Route */

/**
 * @param {string} hash As `location.hash`
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?", 2);
  const [kind = "", name = "", section = ""] = path.split("/").slice(1).map(decoded);
  const query = Object.fromEntries(new URLSearchParams(search));
  if (kind === "services" && name !== "") return { screen: "service", name, section, query };
  if (kind === "deploy") return { screen: "deploy", name, section: "", query };
  if (kind === "what-if") return { screen: "what-if", name: "", section: "", query };
  const isHome = kind === "" || kind === "services";
  return { screen: isHome ? "services" : "nowhere", name: "", section: "", query };
}

/**
 * @param {Partial<Route>} route
 * @returns {string} As `location.hash`
 */
export function routeHash({ screen = "services", name = "", section = "", query = {} }) {
  const parts = screen === "service"
    ? ["services", name, section]
    : ["deploy", "what-if"].includes(screen)
    ? [screen, name]
    : [];
  const path = parts.filter((part) => part !== "").map(encodeURIComponent).join("/");
  const given = Object.entries(query).filter(([, value]) => value !== "");
  return `#/${path}${given.length > 0 ? `?${new URLSearchParams(given)}` : ""}`;
}

/**
 * The address of the screen of a service.
 *
 * @param {string} name
 * @param {string} [section]
 */
export function serviceHash(name, section = "") {
  return routeHash({ screen: "service", name, section });
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
