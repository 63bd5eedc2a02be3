// @ts-check
/// <reference lib="dom" />

/**
 * Loads the page's modules. A browser on the machine of cless breaks off what it loads whenever a container starts,
 * since the machine's networks change then. A module that was broken off is not loaded again until the page is.
 */

const RETRY_MS = 1000;

import("./app.js").catch((error) => {
  console.warn(`The page is not complete: ${error}`);
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  root.textContent = "The page is not complete; loading it again…";
  setTimeout(() => location.reload(), RETRY_MS);
});
