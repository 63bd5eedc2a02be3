import { assertEquals } from "@std/assert";
import {
  allFaults,
  bodyOf,
  faultsOf,
  fieldOf,
  formOf,
  reasonText,
  takenOver,
} from "../../../src/admin/dashboard/ui/model/deploy_form.js";
import { parseEnv } from "../../../src/cli/template_change.ts";
import { parseService } from "../../../src/control/schema/schema.ts";

const TEMPLATE = {
  ...{ image: "shop:1", port: 3000, memory: "128m", concurrency: 10, minInstances: 0, maxInstances: 2 },
  ...{ env: { MODE: "safe", LEVEL: "info" }, secretEnv: { TOKEN: "shop.token" }, pauseAfter: "30s" },
};

Deno.test("the form of a new service makes a body that the API takes, with the defaults", () => {
  const body = bodyOf({ ...formOf("shop", undefined), image: " shop:1 ", env: "A=1", tag: "next" });
  assertEquals(body, {
    ...{ image: "shop:1", port: 8080, concurrency: 0, minInstances: 0, maxInstances: 1, tag: "next" },
    ...{ env: { A: "1" }, secretEnv: {} },
  });
  assertEquals(parseService("shop", body).tag, "next");
});

Deno.test("what is not typed stays as in the latest revision, and an empty memory is the default again", () => {
  const form = formOf("shop", TEMPLATE);
  assertEquals(bodyOf(form, TEMPLATE), TEMPLATE);
  const { memory: _, ...rest } = TEMPLATE;
  assertEquals(bodyOf({ ...form, memory: "" }, TEMPLATE), rest);
  assertEquals(bodyOf({ ...form, traffic: "10" }, TEMPLATE), { ...TEMPLATE, traffic: 10 });
});

Deno.test("the form of a new service takes the settings of a service that is there, but not what is typed", () => {
  const fresh = formOf("", undefined);
  const typed = { ...fresh, name: "shop", image: "shop:2", env: "A=1" };
  const form = takenOver(typed, fresh, formOf("shop", TEMPLATE));
  assertEquals(bodyOf(form, TEMPLATE), { ...TEMPLATE, image: "shop:2", env: { ...TEMPLATE.env, A: "1" } });
  // Another name is typed: nothing of the first service stays.
  assertEquals(takenOver(form, formOf("shop", TEMPLATE), fresh), { ...typed, name: "" });
});

Deno.test("what somebody else has changed since the form was filled stays, and what is typed is taken", () => {
  const filled = formOf("shop", TEMPLATE);
  const newer = { ...TEMPLATE, image: "shop:2", port: 4000, env: { MODE: "fast" } };
  const typed = { ...filled, memory: "256m", env: "LEVEL=debug", traffic: "10" };
  assertEquals(bodyOf(takenOver(typed, filled, formOf("shop", newer)), newer), {
    ...newer,
    ...{ memory: "256m", env: { MODE: "fast", LEVEL: "debug" }, traffic: 10 },
  });
  const { memory: _, ...rest } = newer;
  assertEquals(bodyOf(takenOver({ ...filled, memory: "" }, filled, formOf("shop", newer)), newer), rest);
});

Deno.test("variables are added, and one that was a secret gets the value", () => {
  const { env, secretEnv } = bodyOf({ ...formOf("shop", TEMPLATE), env: "MODE=fast\nTOKEN=x" }, TEMPLATE);
  assertEquals([env, secretEnv], [{ MODE: "fast", LEVEL: "info", TOKEN: "x" }, {}]);
});

Deno.test("variables are read as the command line reads a file of them", () => {
  const text = '# a comment\n\nexport A=1\nB = two\nC="three 3"\nD=e=f\n'.replace("B = two", "B=two");
  assertEquals(bodyOf({ ...formOf("shop", undefined), env: text })["env"], parseEnv(text, "file"));
  assertEquals(faultsOf({ ...formOf("shop", undefined), image: "x", env: "A=1\nbroken\n1B=2" }), [
    { field: "env", reason: "line 2: expected KEY=VALUE" },
    { field: "env", reason: "line 3: the name before = may only have letters, digits and _, and no digit first" },
  ]);
});

Deno.test("a name and an image are needed, and what is no number goes to the API as it is", () => {
  assertEquals(faultsOf(formOf("", undefined)).map(({ field }) => field), ["name", "image"]);
  assertEquals(bodyOf({ ...formOf("shop", undefined), port: "80a" })["port"], "80a");
});

Deno.test("an error of the API belongs to the field that it names", () => {
  assertEquals(["port", "env.A", "secretEnv.A", "traffic", "name", "0.tag", "volumes.0", "the body"].map(fieldOf), [
    ...["port", "env", "env", "traffic", "name", "tag", undefined, undefined],
  ]);
});

Deno.test("what is wrong is told in the words of the form, each field once", () => {
  const reason = "must be at most maxInstances, which is 0";
  assertEquals(reasonText({ field: "minInstances", reason }), "must be at most Max instances, which is 0");
  assertEquals(reasonText({ field: "env.A", reason: "is empty" }), "A: is empty");
  assertEquals(reasonText({ field: "0.tag", reason: "is too long" }), "is too long");
  const [image, port] = [{ field: "image", reason: "is missing" }, { field: "port", reason: "is too high" }];
  const refused = [{ field: "image", reason: "is needed" }, port, { field: "the body", reason: "is wrong" }];
  assertEquals(allFaults([image], refused), [image, port]);
});
