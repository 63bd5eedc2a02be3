// @ts-check
/// <reference lib="dom" />
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { resume, signOut, whoAmI } from "./api.js";
import { html } from "./html.js";
import { SignIn } from "./sign_in.js";

/** The whole page. */
function App() {
  const [session, setSession] = useState(whoAmI());
  const [state, setState] = useState("looking");
  useEffect(() => {
    resume().then((found) => {
      setSession(found);
      setState("known");
    }, (error) => setState(error.message));
  }, []);
  if (state === "looking") return html`<p>…</p>`;
  if (state !== "known") {
    return html`
      <main>
        <p role="alert">${state}</p>
      </main>
    `;
  }
  if (session === undefined) return html`<${SignIn} onDone=${setSession} />`;
  return html`
    <main>
      <h1>cless</h1>
      <p>Signed in as ${session.name} (${session.scope})</p>
      <button onClick=${() => signOut().then(() => setSession(undefined))}>Sign out</button>
    </main>
  `;
}

render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
