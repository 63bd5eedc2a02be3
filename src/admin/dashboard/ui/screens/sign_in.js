// @ts-check
/// <reference lib="dom" />
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";

/** @import { Api, Session } from "../api.js" */

/**
 * Asks for a token, once: then the browser has a session.
 *
 * @param {{ api: Api, onSession: (session: Session) => void, note: string }} props
 */
export function SignIn({ api, onSession, note }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  useEffect(() => input.current?.focus(), []);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (input.current);
    setBusy(true);
    setError("");
    try {
      onSession(await api.signIn(field.value.trim()));
    } catch (thrown) {
      setBusy(false);
      setError(/** @type {Error} */ (thrown).message);
      field.select();
    }
  };
  return html`
    <main class="sign-in">
      <h1>cless</h1>
      ${note !== "" && html`<p class="quiet">${note}</p>`}
      <form onSubmit=${submit}>
        <label for="token">Token</label>
        <input id="token" type="password" ref=${input} autocomplete="current-password" required
          aria-describedby="token-help" aria-invalid=${error !== ""} />
        <p id="token-help" class="quiet"><code>cless token show</code> prints one on the machine that runs cless.</p>
        ${error !== "" && html`<p class="error" role="alert">${error}</p>`}
        <button type="submit" class="primary" disabled=${isBusy}>Sign in</button>
      </form>
    </main>
  `;
}
