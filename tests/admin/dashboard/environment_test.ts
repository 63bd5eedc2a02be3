import { assertEquals } from "@std/assert";
import { problemOf, rebased, templateFields, variablesOf } from "../../../src/admin/dashboard/ui/model/environment.js";

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

/** Variables written as `A=1 B=2`. */
function written(text: string) {
  return text.split(" ").filter(Boolean).map((pair) => {
    const [name = "", value = ""] = pair.split("=");
    return { name, value, secret: false };
  });
}

Deno.test("edits stay while others change the variables, and all else is as it is now", () => {
  const cases = [
    // base, edited, now, then, what both have changed
    ["A=1 B=2", "A=9 B=2", "A=1 B=3 C=4", "A=9 B=3 C=4", []],
    ["A=1 B=2", "B=2", "A=1 B=3", "B=3", []],
    ["A=1 B=2", "B=2", "A=5 B=2", "B=2", ["A"]],
    ["A=1 B=2", "A=9 B=2", "A=5 B=2", "A=9 B=2", ["A"]],
    ["A=1 B=2", "A=9 B=2", "B=2", "A=9 B=2", ["A"]],
    ["A=1 B=2", "A=9 B=2", "A=9 B=3", "A=9 B=3", []],
    ["A=1", "A=1 N=7 =new", "A=2 C=3", "A=2 N=7 =new C=3", []],
    ["A=1", "A=1 A=2", "A=1 C=3", "A=1 A=2 C=3", []],
    ["A=1 B=2", "A=9 B=2", "", "A=9", ["A"]],
  ] as const;
  for (const [base, edited, now, then, both] of cases) {
    assertEquals(
      rebased(written(edited), written(base), written(now)),
      { variables: written(then), both: [...both] },
      edited,
    );
  }
});
