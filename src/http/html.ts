import { accepts } from "@std/http/negotiation";

/** Whether a client would rather have HTML than JSON. */
export function prefersHtml(request: { headers: Headers }): boolean {
  return accepts(request, "application/problem+json", "application/json", "text/html") === "text/html";
}

/** Puts values, as text, in the place of their names: `{{ name }}`. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{ (\w+) \}\}/g, (_, name: string) => escapeHtml(values[name] ?? ""));
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
