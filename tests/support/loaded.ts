import { assertEquals } from "@std/assert";
import { markOf, type RevisionMark, type RevisionRecord, type ServiceRecord } from "../../src/control/records.ts";
import type { Store } from "../../src/control/store.ts";

/** Everything that is declared in a store; its marks have to be those of its revisions. */
export function loaded(store: Store): { services: ServiceRecord[]; revisions: RevisionRecord[] } {
  const services: ServiceRecord[] = [];
  const marks: RevisionMark[] = [];
  store.load((service, own) => {
    services.push(service);
    marks.push(...own);
  });
  const revisions = services.flatMap(({ name }) => store.revisions(name));
  assertEquals(marks, revisions.map(markOf));
  assertEquals(services.map(({ name }) => store.service(name)), services);
  assertEquals(store.services("", services.length + 1), services);
  return { services, revisions };
}
