import htm from "htm" with { type: "text" };
import preact from "preact" with { type: "text" };
import hooks from "preact/hooks" with { type: "text" };
import uPlot from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uPlotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import api from "./ui/api.js" with { type: "text" };
import style from "./ui/app.css" with { type: "text" };
import app from "./ui/app.js" with { type: "text" };
import band from "./ui/band.js" with { type: "text" };
import format from "./ui/format.js" with { type: "text" };
import html from "./ui/html.js" with { type: "text" };
import live from "./ui/live.js" with { type: "text" };
import overview from "./ui/overview.js" with { type: "text" };
import route from "./ui/route.js" with { type: "text" };
import servicesScreen from "./ui/services_screen.js" with { type: "text" };
import signIn from "./ui/sign_in.js" with { type: "text" };
import timeline from "./ui/timeline.js" with { type: "text" };
import icon from "./ui/icon.svg" with { type: "text" };
import page from "./ui/index.html" with { type: "text" };

/** Where the browser finds the libraries that modules import by their names. */
const LIBRARIES: Readonly<Record<string, string>> = {
  "htm": "lib/htm.js",
  "preact": "lib/preact.js",
  "preact/hooks": "lib/preact_hooks.js",
  "uplot": "lib/uplot.js",
};
const LIBRARY_IMPORT = /\b(from|import)(\s*)(["'])([\w/]+)\3/g;

/** The modules of the page, each with its source. */
const MODULES: Readonly<Record<string, string>> = {
  "api.js": api,
  "app.js": app,
  "band.js": band,
  "format.js": format,
  "html.js": html,
  "live.js": live,
  "overview.js": overview,
  "route.js": route,
  "services_screen.js": servicesScreen,
  "sign_in.js": signIn,
  "timeline.js": timeline,
  "lib/htm.js": htm,
  "lib/preact.js": preact,
  "lib/preact_hooks.js": hooks,
  // This file of the package is the small one, and made for pages without modules: it declares a variable.
  "lib/uplot.js": `${uPlot}\nexport default uPlot;\n`,
};

/**
 * The texts of the dashboard: the page by the name `index.html`, and all others by their path below `/ui/`.
 *
 * Modules import libraries by the names that `deno.json` gives them, so that they are checked with the libraries' types.
 * A browser does not know these names, so that each becomes the path of the library. The page names all modules, so that
 * a browser loads them at once and not one after the other.
 */
export const FILES: ReadonlyMap<string, string> = new Map([
  ["index.html", withModules(page)],
  ...Object.entries(MODULES).map(([name, source]) => [name, withPaths(source)] as const),
  ["app.css", style],
  ["icon.svg", icon],
  ["lib/uplot.css", uPlotStyle],
]);

function withModules(html: string): string {
  const link = (name: string) => `<link rel="modulepreload" href="/ui/${name}">`;
  return html.replace(
    /^( *)<!-- modules -->$/m,
    (_, indent) => Object.keys(MODULES).map((name) => indent + link(name)).join("\n"),
  );
}

function withPaths(source: string): string {
  return source.replaceAll(LIBRARY_IMPORT, (whole, keyword, space, quote, name) => {
    const path = LIBRARIES[name];
    return path === undefined ? whole : `${keyword}${space}${quote}/ui/${path}${quote}`;
  });
}
