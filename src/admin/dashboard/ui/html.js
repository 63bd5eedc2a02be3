// @ts-check
/// <reference lib="dom" />
import htm from "htm";
import { h } from "preact";

/** Makes elements of a template with markup: html`<p class=${name}>${text}</p>`. */
export const html = /** @type {(strings: TemplateStringsArray, ...values: unknown[]) => import("preact").VNode} */ (
  /** @type {{ bind(h: unknown): unknown }} */ (/** @type {unknown} */ (htm)).bind(h)
);
