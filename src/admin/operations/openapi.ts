import { z } from "zod";
import { json } from "../answer.ts";
import { documentOf } from "../document/document.ts";
import { type Operation, operation } from "../operation.ts";

/**
 * `GET /openapi.json`.
 *
 * @param operations Everything that there is.
 */
export function openApiOperation(operations: () => readonly Operation[]): Operation {
  let document: unknown;
  return operation({
    id: "showDocument",
    method: "get",
    path: "/openapi.json",
    scope: "read",
    tag: "about",
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1", schema: z.record(z.string(), z.unknown()) } },
    run: () => json(document ??= documentOf(operations())),
  });
}
