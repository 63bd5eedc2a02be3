// @ts-check
/// <reference lib="dom" />
import { Api } from "./api.js";
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { html } from "./html.js";
import { Events } from "./live.js";
import { parseRoute, routeHash } from "./route.js";
import { ServicesScreen } from "./services_screen.js";
import { SignIn } from "./sign_in.js";

/** @import { Session } from "./api.js" */

/**
 * What every screen gets.
 *
 * @typedef {object} App
 * @property {Api} api
 * @property {Events} events
 * @property {() => void} routeChanged Call it after a change of the address by `history`
 */

/** The whole page: signs in, and shows the screen of the address. */
function Dashboard() {
  const [session, setSession] = useState(/** @type {Session | undefined | "unknown"} */ ("unknown"));
  const [wasSignedIn, setWasSignedIn] = useState(false);
  const [isLost, setLost] = useState(false);
  const [route, setRoute] = useState(parseRoute(location.hash));
  const app = useMemo(() => {
    const routeChanged = () => setRoute(parseRoute(location.hash));
    const signedOut = () => {
      setWasSignedIn(true);
      setSession(undefined);
    };
    return { api: new Api({ signedOut, connection: setLost }), events: new Events(), routeChanged };
  }, []);
  useEffect(() => {
    addEventListener("hashchange", app.routeChanged);
    return () => removeEventListener("hashchange", app.routeChanged);
  }, []);
  useEffect(() => {
    if (session !== "unknown") return;
    /** @type {import("./live.js").Timer} */
    let timer;
    const resume = () => {
      app.api.resume().then(setSession, () => timer = setTimeout(resume, RETRY_MS));
    };
    resume();
    return () => clearTimeout(timer);
  }, [session]);
  useEffect(() => {
    document.title = route.name === "" ? "cless" : `${route.name} · cless`;
    scrollTo(0, 0);
  }, [route.screen, route.name, route.section]);

  if (session === "unknown") {
    return isLost
      ? html`
        <main>
          <p class="quiet">cless does not answer; trying again…</p>
        </main>
      `
      : null;
  }
  if (session === undefined) {
    return html`<${SignIn} api=${app.api} onSession=${setSession} note=${
      wasSignedIn ? "You have been signed out." : ""
    } />`;
  }
  const signOut = () => app.api.signOut().then(() => setSession(undefined), () => {});
  const Screen = SCREENS[route.screen];
  return html`
    <a class="skip" href="#main" onClick=${skip}>Go to the content</a>
    <header>
      <a class="mark" href="#/" aria-label="cless, all services">cless</a>
      <nav aria-label="Main">
        <a href="#/" aria-current=${route.screen === "services" ? "page" : undefined}>Services</a>
        <a href=${routeHash({ screen: "deploy" })} aria-current=${route.screen === "deploy"
          ? "page"
          : undefined}>Deploy</a>
      </nav>
      <p class="connection" role="status">${isLost && "No connection to cless; trying again…"}</p>
      <p class="who">${session.name}${session.scope === "read" && html`<span class="pill">can only look</span>`}</p>
      <button type="button" class="plain" onClick=${signOut}>Sign out</button>
    </header>
    <main id="main" tabindex="-1">
      <${Screen} key=${route.name} app=${app} route=${route} />
    </main>
  `;
}

const RETRY_MS = 2000;
const SCREENS = { services: ServicesScreen, service: ServicesScreen, deploy: ServicesScreen };

/** The address after the # is the screen, so the link moves the focus by itself. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
render(html`<${Dashboard} />`, root);
