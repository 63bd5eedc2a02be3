import { assertEquals } from "@std/assert";
import { noNet, noRun } from "../support/permissions.ts";
import { ANSWERS, apiTest, DEPLOYS, FakeApi, problem, REVISIONS } from "./fake_api.ts";
import { programArgs } from "./run_main.ts";

const LOGS = "GET /v1/services/web/logs";

/** The logs of two instances. */
const LINES = [
  { instance: "web-1", revision: "web-00001", stream: "stdout", time: "2027-01-31T12:00:00Z", text: "one" },
  { instance: "web-2", revision: "web-00002", stream: "stderr", text: "two | é" },
].map((line) => JSON.stringify(line) + "\n");

apiTest("each line of the logs begins with its instance", { [LOGS]: new Response(LINES.join("")) }, async (api) => {
  assertEquals(await api.run("logs", "web"), { code: 0, out: "web-1 | one\nweb-2 | two | é", err: "" });
  assertEquals(api.asked[0]!.headers.get("accept"), "application/x-ndjson");
  assertEquals((await api.run("logs", "web", "-t")).out, "web-1 | 2027-01-31T12:00:00Z one\nweb-2 | two | é");
});

apiTest("a machine whose lines are missing is named on standard error", {
  [LOGS]: new Response([
    LINES[0],
    JSON.stringify({ instance: "cless", revision: "", stream: "stderr", text: "the output of second is missing: why" }),
    "\n",
    LINES[1],
  ].join("")),
}, async (api) => {
  const err = "the output of second is missing: why";
  assertEquals(await api.run("logs", "web"), { code: 0, out: "web-1 | one\nweb-2 | two | é", err });
});

apiTest("logs say which deploy failed since, and what serves in its place", {
  [LOGS]: new Response(LINES.join("")),
  "GET /v1/services/web/revisions": REVISIONS,
  "GET /v1/services/web/deploys": DEPLOYS,
}, async (api) => {
  const { code, err, out } = await api.run("logs", "web");
  assertEquals([code, out], [0, "web-1 | one\nweb-2 | two | é"]);
  assertEquals(
    err,
    "a deploy of web, 1m ago: web-00003 failed after 31s: it ended with code 1; look at KEY\n" +
      "requests go to web-00002 70%, web-00001 30%",
  );
  assertEquals((await api.run("logs", "web", "--revision", "web-00001")).err, "", "it was not asked for");
  api.answers["GET /v1/services/web/deploys"] = [{ ...DEPLOYS[0], startedAt: REVISIONS[1]!.createdAt }];
  assertEquals((await api.run("logs", "web")).err, "", "a later one has worked");
});

apiTest("without a line, logs say why, and where the output of a failed deploy is", {
  ...ANSWERS,
  [LOGS]: new Response(""),
}, async (api) => {
  const written = { code: 0, out: "", err: "the instances of web have written nothing" };
  assertEquals(await api.run("logs", "web"), written);
  assertEquals((await api.run("logs", "web", "--since", "10m")).err, `${written.err} since 10m`);
  assertEquals((await api.run("logs", "web", "-n", "0")).err, "");
  api.answers["GET /v1/instances"] = [];
  const err = "no instance of web runs now, and no output of one is kept; the next request starts one";
  assertEquals(await api.run("logs", "web"), { ...written, err });
  api.answers["GET /v1/services/web/deploys"] = DEPLOYS;
  const lines = (await api.run("logs", "web")).err.split("\n");
  assertEquals(lines.slice(2), [err, "the output of that deploy: cless history web --deploys"]);
});

apiTest("the flags of logs are sent as its query", { [LOGS]: new Response("") }, async (api) => {
  const run = await api.run(...[
    "logs",
    "-f",
    "web",
    "--tail",
    "20",
    "--since",
    "10m",
    "-t",
    "--revision",
    "web-00001",
  ]);
  const err = "cless: there are no more logs to follow: that cless has stopped";
  assertEquals(run, { code: 1, out: "", err }, "what is followed has no end but that of cless");
  assertEquals(
    api.asked.map(({ line }) => line).slice(0, 1),
    [`${LOGS}?follow=true&tail=20&since=10m&timestamps=true&revision=web-00001`],
  );
  assertEquals(
    (await api.run("logs", "web", "-n", "x")).err,
    'cless: --tail: "x" is not allowed: expected a whole number',
  );
});

apiTest("an answer that is not from cless is one line", { [LOGS]: new Response("<html>") }, async (api) => {
  assertEquals(await api.run("logs", "web"), {
    code: 1,
    out: "",
    err: "cless: the server is not an admin API of cless; name it with --server",
  });
});

apiTest("logs of a service that never worked are the output of its last deploy", {
  [LOGS]: problem(404, "there is no service web"),
  "GET /v1/services/web/deploys": [{ ...DEPLOYS[0], output: ["one", "panic: no KEY"] }, DEPLOYS[1]!],
}, async (api) => {
  const err =
    "web does not run; of its last deploy, 1m ago: web-00003 failed after 31s: it ended with code 1; look at KEY";
  assertEquals(await api.run("logs", "web"), { code: 0, out: "web-00003 | one\nweb-00003 | panic: no KEY", err });
  assertEquals((await api.run("logs", "web", "-n", "1")).out, "web-00003 | panic: no KEY");
  assertEquals((await api.run("logs", "web", "-n", "0")).out, "");
  assertEquals(await api.run("logs", "web", "-f"), {
    code: 1,
    out: "web-00003 | one\nweb-00003 | panic: no KEY",
    err: `${err}\ncless: there is nothing to follow until a deploy of web works`,
  });
  const missing = { code: 1, out: "", err: "cless: there is no service web" };
  assertEquals(await api.run("logs", "web", "--revision", "web-00009"), missing);
  api.answers["GET /v1/services/web/deploys"] = problem(404, "there is no service web");
  assertEquals(await api.run("logs", "web"), missing);
});

/** Logs without an end. */
const ENDLESS = () =>
  new Response(new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode(LINES[0]!)) }));

Deno.test({
  name: "Ctrl-C ends logs that are followed, without an error message",
  ignore: noNet || noRun,
  fn: async () => {
    await using api = new FakeApi({ [LOGS]: ENDLESS });
    const args = programArgs("logs", "-f", "web", "--server", api.url, "--token", "secret");
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      child.kill("SIGINT");
    }
    const err = await new Response(child.stderr).text();
    assertEquals([(await child.status).code, text, err], [130, "web-1 | one\n", ""]);
  },
});

Deno.test({
  name: "logs that nobody reads any more end by themselves, without an error message",
  ignore: noNet || noRun,
  fn: async () => {
    const more = (stream: ReadableStreamDefaultController) => stream.enqueue(new TextEncoder().encode(LINES[0]!));
    await using api = new FakeApi({ [LOGS]: () => new Response(new ReadableStream({ pull: more })) });
    const args = programArgs("logs", "-f", "web", "--server", api.url, "--token", "secret");
    const signal = AbortSignal.timeout(60_000);
    const options = { args, signal, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const child = new Deno.Command(Deno.execPath(), options).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    const err = await new Response(child.stderr).text();
    assertEquals([(await child.status).code, err], [0, ""]);
  },
});
