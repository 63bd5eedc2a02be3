import htm from "htm" with { type: "text" };
import preact from "preact" with { type: "text" };
import hooks from "preact/hooks" with { type: "text" };
import uPlot from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uPlotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import action from "./ui/parts/action.js" with { type: "text" };
import api from "./ui/api.js" with { type: "text" };
import frameStyle from "./ui/styles/frame.css" with { type: "text" };
import partsStyle from "./ui/styles/parts.css" with { type: "text" };
import bandsStyle from "./ui/styles/bands.css" with { type: "text" };
import screensStyle from "./ui/styles/screens.css" with { type: "text" };
import panelsStyle from "./ui/styles/panels.css" with { type: "text" };
import app from "./ui/app.js" with { type: "text" };
import band from "./ui/parts/band.js" with { type: "text" };
import changes from "./ui/changes.js" with { type: "text" };
import chart from "./ui/parts/chart.js" with { type: "text" };
import deployForm from "./ui/model/deploy_form.js" with { type: "text" };
import deployProgress from "./ui/parts/deploy_progress.js" with { type: "text" };
import deployScreen from "./ui/screens/deploy_screen.js" with { type: "text" };
import environment from "./ui/model/environment.js" with { type: "text" };
import environmentPanel from "./ui/panels/environment_panel.js" with { type: "text" };
import failures from "./ui/failures.js" with { type: "text" };
import figuresPanel from "./ui/panels/figures_panel.js" with { type: "text" };
import format from "./ui/model/format.js" with { type: "text" };
import historyPanel from "./ui/panels/history_panel.js" with { type: "text" };
import historyText from "./ui/model/history_text.js" with { type: "text" };
import html from "./ui/html.js" with { type: "text" };
import icon from "./ui/icon.svg" with { type: "text" };
import idleSettings from "./ui/model/idle_settings.js" with { type: "text" };
import page from "./ui/index.html" with { type: "text" };
import instancesPanel from "./ui/panels/instances_panel.js" with { type: "text" };
import live from "./ui/live.js" with { type: "text" };
import logLines from "./ui/model/log_lines.js" with { type: "text" };
import logsPanel from "./ui/panels/logs_panel.js" with { type: "text" };
import overview from "./ui/model/overview.js" with { type: "text" };
import revisionsPanel from "./ui/panels/revisions_panel.js" with { type: "text" };
import route from "./ui/model/route.js" with { type: "text" };
import series from "./ui/model/series.js" with { type: "text" };
import serviceScreen from "./ui/screens/service_screen.js" with { type: "text" };
import servicesScreen from "./ui/screens/services_screen.js" with { type: "text" };
import settings from "./ui/model/settings.js" with { type: "text" };
import settingsPanel from "./ui/panels/settings_panel.js" with { type: "text" };
import shares from "./ui/model/shares.js" with { type: "text" };
import signIn from "./ui/screens/sign_in.js" with { type: "text" };
import start from "./ui/start.js" with { type: "text" };
import table from "./ui/parts/table.js" with { type: "text" };
import templateDiff from "./ui/model/template_diff.js" with { type: "text" };
import timeline from "./ui/model/timeline.js" with { type: "text" };
import trafficPanel from "./ui/panels/traffic_panel.js" with { type: "text" };
import wakeHistogram from "./ui/model/wake_histogram.js" with { type: "text" };
import wakesPanel from "./ui/panels/wakes_panel.js" with { type: "text" };
import whatIf from "./ui/model/what_if.js" with { type: "text" };
import whatIfScreen from "./ui/screens/what_if_screen.js" with { type: "text" };
import whatIfPanel from "./ui/panels/what_if_panel.js" with { type: "text" };

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
  "parts/action.js": action,
  "api.js": api,
  "app.js": app,
  "parts/band.js": band,
  "changes.js": changes,
  "parts/chart.js": chart,
  "model/deploy_form.js": deployForm,
  "parts/deploy_progress.js": deployProgress,
  "screens/deploy_screen.js": deployScreen,
  "model/environment.js": environment,
  "panels/environment_panel.js": environmentPanel,
  "failures.js": failures,
  "panels/figures_panel.js": figuresPanel,
  "model/format.js": format,
  "panels/history_panel.js": historyPanel,
  "model/history_text.js": historyText,
  "html.js": html,
  "model/idle_settings.js": idleSettings,
  "panels/instances_panel.js": instancesPanel,
  "live.js": live,
  "model/log_lines.js": logLines,
  "panels/logs_panel.js": logsPanel,
  "model/overview.js": overview,
  "panels/revisions_panel.js": revisionsPanel,
  "model/route.js": route,
  "model/series.js": series,
  "screens/service_screen.js": serviceScreen,
  "screens/services_screen.js": servicesScreen,
  "model/settings.js": settings,
  "panels/settings_panel.js": settingsPanel,
  "model/shares.js": shares,
  "screens/sign_in.js": signIn,
  "start.js": start,
  "parts/table.js": table,
  "model/template_diff.js": templateDiff,
  "model/timeline.js": timeline,
  "panels/traffic_panel.js": trafficPanel,
  "model/wake_histogram.js": wakeHistogram,
  "panels/wakes_panel.js": wakesPanel,
  "model/what_if.js": whatIf,
  "panels/what_if_panel.js": whatIfPanel,
  "screens/what_if_screen.js": whatIfScreen,
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
 * a browser loads them at once and not one after the other. Comments are left out: with their types, they are a fifth of
 * what a browser would load.
 */
export const FILES: ReadonlyMap<string, string> = new Map([
  ["index.html", withModules(page)],
  ...Object.entries(MODULES).map(([name, source]) => [name, withPaths(withoutComments(source))] as const),
  ["styles/frame.css", frameStyle],
  ["styles/parts.css", partsStyle],
  ["styles/bands.css", bandsStyle],
  ["styles/screens.css", screensStyle],
  ["styles/panels.css", panelsStyle],
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

/** Without the comments that begin a line. The lines keep their numbers, for messages of errors. */
function withoutComments(source: string): string {
  return source.replaceAll(/^[ \t]*\/\*\*[^]*?\*\//gm, (comment) => comment.replaceAll(/[^\n]+/g, ""));
}

function withPaths(source: string): string {
  return source.replaceAll(LIBRARY_IMPORT, (whole, keyword, space, quote, name) => {
    const path = LIBRARIES[name];
    return path === undefined ? whole : `${keyword}${space}${quote}/ui/${path}${quote}`;
  });
}
