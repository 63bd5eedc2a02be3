// @ts-check
/// <reference lib="dom" />
import { useState } from "preact/hooks";
import { signIn } from "./api.js";
import { html } from "./html.js";

/** The form that asks for the token. @param {{ onDone: (session: import("./api.js").Session) => void }} props */
export function SignIn({ onDone }) {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);

  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (
      /** @type {HTMLFormElement} */ (event.currentTarget).elements.namedItem("token")
    );
    setBusy(true);
    setProblem("");
    try {
      onDone(await signIn(field.value.trim()));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      field.select();
    } finally {
      setBusy(false);
    }
  };

  return html`
    <main class="sign-in">
      <h1>cless</h1>
      <form onSubmit=${submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
        <button disabled=${isBusy}>Sign in</button>
        <p role="alert">${problem}</p>
        <p>The command <code>cless token</code> prints it.</p>
      </form>
    </main>
  `;
}
