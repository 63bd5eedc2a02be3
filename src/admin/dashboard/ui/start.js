// @ts-check
/// <reference lib="dom" />

/**
 * Loads the page's modules, again if that fails. A browser on the machine of cless breaks off what it loads whenever a
 * container starts, since the machine's networks change then; and it does not load a module or a style again until it
 * loads the page. The page names this file first, so that it is seldom broken off itself.
 */

const RETRY_MS = 500;

addEventListener("load", () => {
  if (![...document.styleSheets].every(isWhole)) again("a style is missing");
});
import("./app.js").catch(again);

/** @param {CSSStyleSheet} sheet */
function isWhole(sheet) {
  try {
    return sheet.cssRules.length > 0;
  } catch {
    return false; // what was broken off is treated like one from elsewhere
  }
}

/** @param {unknown} reason */
function again(reason) {
  console.warn(`The page is not complete: ${reason}`);
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  if (root.childElementCount === 0) root.textContent = "Loading again…";
  setTimeout(() => location.reload(), RETRY_MS);
}
