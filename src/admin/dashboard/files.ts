import htm from "htm" with { type: "text" };
import preact from "preact" with { type: "text" };
import hooks from "preact/hooks" with { type: "text" };
import uPlot from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uPlotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import action from "./ui/action.js" with { type: "text" };
import api from "./ui/api.js" with { type: "text" };
import style from "./ui/app.css" with { type: "text" };
import app from "./ui/app.js" with { type: "text" };
import band from "./ui/band.js" with { type: "text" };
import changes from "./ui/changes.js" with { type: "text" };
import chart from "./ui/chart.js" with { type: "text" };
import deployForm from "./ui/deploy_form.js" with { type: "text" };
import deployProgress from "./ui/deploy_progress.js" with { type: "text" };
import deployScreen from "./ui/deploy_screen.js" with { type: "text" };
import environment from "./ui/environment.js" with { type: "text" };
import environmentPanel from "./ui/environment_panel.js" with { type: "text" };
import figuresPanel from "./ui/figures_panel.js" with { type: "text" };
import format from "./ui/format.js" with { type: "text" };
import historyPanel from "./ui/history_panel.js" with { type: "text" };
import historyText from "./ui/history_text.js" with { type: "text" };
import html from "./ui/html.js" with { type: "text" };
import icon from "./ui/icon.svg" with { type: "text" };
import idleSettings from "./ui/idle_settings.js" with { type: "text" };
import page from "./ui/index.html" with { type: "text" };
import instancesPanel from "./ui/instances_panel.js" with { type: "text" };
import live from "./ui/live.js" with { type: "text" };
import logLines from "./ui/log_lines.js" with { type: "text" };
import logsPanel from "./ui/logs_panel.js" with { type: "text" };
import overview from "./ui/overview.js" with { type: "text" };
import revisionsPanel from "./ui/revisions_panel.js" with { type: "text" };
import route from "./ui/route.js" with { type: "text" };
import series from "./ui/series.js" with { type: "text" };
import serviceScreen from "./ui/service_screen.js" with { type: "text" };
import servicesScreen from "./ui/services_screen.js" with { type: "text" };
import settings from "./ui/settings.js" with { type: "text" };
import settingsPanel from "./ui/settings_panel.js" with { type: "text" };
import shares from "./ui/shares.js" with { type: "text" };
import signIn from "./ui/sign_in.js" with { type: "text" };
import start from "./ui/start.js" with { type: "text" };
import templateDiff from "./ui/template_diff.js" with { type: "text" };
import timeline from "./ui/timeline.js" with { type: "text" };
import trafficPanel from "./ui/traffic_panel.js" with { type: "text" };
import wakeHistogram from "./ui/wake_histogram.js" with { type: "text" };
import wakesPanel from "./ui/wakes_panel.js" with { type: "text" };
import whatIfPanel from "./ui/what_if_panel.js" with { type: "text" };

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
  "action.js": action,
  "api.js": api,
  "app.js": app,
  "band.js": band,
  "changes.js": changes,
  "chart.js": chart,
  "deploy_form.js": deployForm,
  "deploy_progress.js": deployProgress,
  "deploy_screen.js": deployScreen,
  "environment.js": environment,
  "environment_panel.js": environmentPanel,
  "figures_panel.js": figuresPanel,
  "format.js": format,
  "history_panel.js": historyPanel,
  "history_text.js": historyText,
  "html.js": html,
  "idle_settings.js": idleSettings,
  "instances_panel.js": instancesPanel,
  "live.js": live,
  "log_lines.js": logLines,
  "logs_panel.js": logsPanel,
  "overview.js": overview,
  "revisions_panel.js": revisionsPanel,
  "route.js": route,
  "series.js": series,
  "service_screen.js": serviceScreen,
  "services_screen.js": servicesScreen,
  "settings.js": settings,
  "settings_panel.js": settingsPanel,
  "shares.js": shares,
  "sign_in.js": signIn,
  "start.js": start,
  "template_diff.js": templateDiff,
  "timeline.js": timeline,
  "traffic_panel.js": trafficPanel,
  "wake_histogram.js": wakeHistogram,
  "wakes_panel.js": wakesPanel,
  "what_if_panel.js": whatIfPanel,
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
