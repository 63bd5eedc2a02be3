// @ts-check
/// <reference lib="dom" />
import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useAction } from "./parts/action.js";
import { Api } from "./api.js";
import { DeployScreen } from "./screens/deploy_screen.js";
import { zoneText } from "./model/format.js";
import { html } from "./html.js";
import { Events } from "./live.js";
import { parseRoute, routeHash } from "./model/route.js";
import { ServiceScreen } from "./screens/service_screen.js";
import { ServicesScreen } from "./screens/services_screen.js";
import { WhatIfScreen } from "./screens/what_if_screen.js";
import { SignIn } from "./screens/sign_in.js";

/** @import { Session } from "./api.js" */
/** @import { Done } from "./changes.js" */

/**
 * What every screen gets.
 *
 * @typedef {object} App
 * @property {Api} api
 * @property {Events} events
 * @property {() => void} routeChanged Call it after a change of the address by `history`
 * @property {(done: Done) => void} say Tells what has been done, with a way back if there is one
 */

/** The whole page: signs in, and shows the screen of the address. */
function Dashboard() {
  const [session, setSession] = useState(/** @type {Session | undefined | "unknown"} */ ("unknown"));
  const [wasSignedIn, setWasSignedIn] = useState(false);
  const [isLost, setLost] = useState(false);
  const [isSilent, setSilent] = useState(false);
  const [done, setDone] = useState(/** @type {Done | undefined} */ (undefined));
  const [route, setRoute] = useState(parseRoute(location.hash));
  const saidAt = useRef(0);
  /** What was tried and chosen last is still there after a look at another screen. */
  const whatIfHash = useRef(routeHash({ screen: "what-if" }));
  const app = useMemo(() => {
    const routeChanged = () => setRoute(parseRoute(location.hash));
    const say = (/** @type {Done} */ what) => {
      saidAt.current = Date.now();
      setDone(what);
    };
    const signedOut = () => {
      setWasSignedIn(true);
      setSession(undefined);
    };
    const api = new Api({ signedOut, connection: setLost });
    const events = new Events((lost) => {
      setSilent(lost);
      if (lost) return;
      setLost(false);
      api.giveUp();
    });
    return { api, events, routeChanged, say };
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
    // What has just been done may have led here.
    if (Date.now() - saidAt.current > JUST_MS) setDone(undefined);
    document.title = route.name === "" ? "cless" : `${route.name} · cless`;
  }, [route.screen, route.name, route.section]);
  const hasMoved = useRef(false);
  useEffect(() => {
    // The link that was followed is gone: whoever reads by keyboard goes on at the new screen.
    if (hasMoved.current) document.getElementById("main")?.focus();
    hasMoved.current = true;
    scrollTo(0, 0);
  }, [route.screen, route.name]);

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
  if (route.screen === "what-if") whatIfHash.current = routeHash(route);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Go to the content</a>
    <header>
      <a class="mark" href="#/" aria-label="cless, all services">cless</a>
      <nav aria-label="Main">
        <a href="#/" aria-current=${route.screen === "services" ? "page" : undefined}>Services</a>
        <a href=${whatIfHash.current} aria-current=${route.screen === "what-if" ? "page" : undefined}>What if</a>
        <a href=${routeHash({ screen: "deploy" })} aria-current=${route.screen === "deploy"
          ? "page"
          : undefined}>Deploy</a>
      </nav>
      <p class="connection" role="status">${(isLost || isSilent) && "No connection to cless; trying again…"}</p>
      <p class="who">${session.name}${session.scope === "read" && html`<span class="pill">can only look</span>`}</p>
      <button type="button" class="plain" onClick=${signOut}>Sign out</button>
    </header>
    <main id="main" tabindex="-1">
      <${Screen} key=${route.name} app=${app} route=${route} />
      <p class="zone">Times are in ${zoneText(new Date())}.</p>
    </main>
    <${Said} done=${done} onDone=${setDone} />
  `;
}

function Nowhere() {
  return html`
    <h1>There is no such page</h1>
    <p><a class="link" href="#/">All services</a></p>
  `;
}

/**
 * What has just been done.
 *
 * @param {{ done: Done | undefined, onDone: (done: Done | undefined) => void }} props
 */
function Said({ done, onDone }) {
  const action = useAction();
  useEffect(() => {
    if (done === undefined) return;
    const timer = setTimeout(() => onDone(undefined), done.undo === undefined ? SAID_MS : UNDO_MS);
    return () => clearTimeout(timer);
  }, [done]);
  const undo = () =>
    action.run(async () => {
      const next = await done?.undo?.();
      onDone(next && { ...next, text: `undone; ${next.text}` });
    });
  return html`
    <div class="said" role="status">
      ${done && html`<p key=${done.text}><span>${action.error?.message ?? done.text}</span>
        ${done.undo && html`<button type="button" disabled=${action.isBusy} onClick=${undo}>Undo</button>`}
        <button type="button" class="plain" onClick=${() => onDone(undefined)} aria-label="Close">✕</button></p>`}
    </div>
  `;
}

const RETRY_MS = 2000;
const JUST_MS = 1000;
const SAID_MS = 10_000;
const UNDO_MS = 120_000;
const SCREENS = {
  ...{ services: ServicesScreen, service: ServiceScreen, "what-if": WhatIfScreen, deploy: DeployScreen },
  nowhere: Nowhere,
};

/** The address after the # is the screen, so the link moves the focus by itself. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
render(html`<${Dashboard} />`, root);
