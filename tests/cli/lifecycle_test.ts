import { assertEquals } from "@std/assert";
import { ANSWERS, apiTest, DEPLOYS, events, problem } from "./fake_api.ts";
import { withAnswer } from "./run_main.ts";

apiTest("wake and sleep print what they have done", {
  "POST /v1/services/web/wake": new Response(null, { status: 204 }),
  "POST /v1/services/web/sleep": { any: "thing" },
  "GET /v1/services/web": { state: "asleep" },
}, async (api) => {
  assertEquals((await api.run("wake", "web")).out, "web is awake");
  assertEquals((await api.run("sleep", "web")).out, "web sleeps");
  for (const verb of ["wake", "sleep"]) {
    assertEquals(await api.run(verb, "web", "-q"), { code: 0, out: "", err: "" });
  }
  api.answers["GET /v1/services/web"] = { state: "failing", failure: "it ended with code 1; look at KEY" };
  assertEquals(
    (await api.run("sleep", "web")).out,
    "web sleeps; its last start has failed, and the next request tries again: it ended with code 1",
  );
});

apiTest("an instance that does not start is reported with the end of its output", {
  "POST /v1/services/web/wake": problem(422, "the revision web-00002 did not become ready: it has exited with 1", {
    code: "revision_failed",
    output: ["listening", "\x1b[31mno such file\x1b[0m\x07"],
  }),
}, async (api) => {
  assertEquals(await api.run("wake", "web"), {
    code: 1,
    out: "",
    err: "cless: the revision web-00002 did not become ready: it has exited with 1\n  listening\n  no such file",
  });
});

apiTest("delete asks on a terminal, and without one it needs --yes", {
  ...ANSWERS,
  "DELETE /v1/services/web": new Response(null, { status: 204 }),
}, async (api) => {
  await withAnswer(undefined, async () => {
    assertEquals(await api.run("delete", "web"), {
      code: 2,
      out: "",
      err: "cless: there is no terminal to ask on; give --yes to delete without asking",
    });
    assertEquals((await api.run("delete", "nosuch")).code, 1);
  });
  for (const answer of ["n\n", "\n", "yesno\n"]) {
    const run = await withAnswer(answer, () => api.run("delete", "web", "-q"));
    assertEquals(run, { code: 1, out: "", err: "web is not deleted" });
  }
  assertEquals(api.changes, []);
  assertEquals((await withAnswer("y\n", () => api.run("delete", "web", "-q"))).code, 0);
  assertEquals(await api.run("delete", "web", "--yes"), { code: 0, out: "web is deleted", err: "" });
  assertEquals(await api.run("delete", "-q", "-y", "web"), { code: 0, out: "", err: "" });
  assertEquals(api.changes, Array(3).fill("DELETE /v1/services/web"));
});

apiTest("delete of a service that never worked says what it deletes", {
  "GET /v1/services/web": problem(404, "there is no service web"),
  "GET /v1/services/web/deploys": DEPLOYS.slice(0, 2),
  "DELETE /v1/services/web": new Response(null, { status: 204 }),
}, async (api) => {
  const { out } = await api.run("delete", "web", "--yes");
  assertEquals(out, "web never worked; what was kept of its deploys is deleted");
  api.answers["GET /v1/services/web/deploys"] = [{ ...DEPLOYS[0], outcome: "running" }, DEPLOYS[1]!];
  assertEquals((await api.run("delete", "web", "--yes")).out, "web is not deployed: its deploy is called off");
});

apiTest("wake follows the events of its service meanwhile, unless it is quiet", {
  "GET /v1/events?service=web": events(),
  "POST /v1/services/web/wake": new Response(null, { status: 204 }),
}, async (api) => {
  const followed = () => api.asked.filter(({ line }) => line.startsWith("GET /v1/events")).length;
  assertEquals((await api.run("wake", "web", "-q")).code, 0);
  assertEquals(followed(), 0);
  assertEquals((await api.run("wake", "web")).out, "web is awake");
  assertEquals(followed(), 1);
});
