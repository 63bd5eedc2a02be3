import { assertEquals } from "@std/assert";
import { problemOf, templateFields, variablesOf } from "../../../src/admin/dashboard/ui/model/environment.js";

Deno.test("variables and secrets are one list by name, and the same template afterwards", () => {
  const template = { env: { MODE: "fast", ADDRESS: ":80" }, secretEnv: { DB: "shop.db" } };
  const variables = variablesOf(template);
  assertEquals(variables.map(({ name }) => name), ["ADDRESS", "DB", "MODE"]);
  assertEquals(templateFields(variables), template);
  assertEquals(templateFields(variablesOf({})), { env: {}, secretEnv: {} });
});

Deno.test("a variable without a name is left out, and one that is there twice is refused", () => {
  const variable = { name: "A", value: "1", secret: false };
  assertEquals(templateFields([variable, { ...variable, name: "" }]), { env: { A: "1" }, secretEnv: {} });
  assertEquals(problemOf([variable, { ...variable, name: "" }, { ...variable, name: "" }]), undefined);
  assertEquals(problemOf([variable, { ...variable, secret: true }]), "A is there twice");
});
