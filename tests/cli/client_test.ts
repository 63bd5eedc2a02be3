import { assertEquals, assertMatch } from "@std/assert";
import { readClientSettings } from "../../src/cli/client_settings.ts";
import { OperatorError, UsageError } from "../../src/base/errors.ts";
import { freePorts } from "../support/free_ports.ts";
import { noNet, noRun, noWrite, readTest } from "../support/permissions.ts";
import { apiTest, FakeApi, problem, WEB } from "./fake_api.ts";
import { programArgs, runMain } from "./run_main.ts";

/** The settings by flags and variables. */
function settings(flags: Record<string, string>, variables: Record<string, string> = {}) {
  const given = new Map(Object.entries(flags).map(([flag, value]) => [flag, [value]]));
  return readClientSettings(given, {
    env: (name) => variables[name],
    variables: () => [],
    root: true,
    terminal: false,
    memory: () => Infinity,
  });
}

readTest("the server is that of the flag, of its variable, of serve's variable, or the default", () => {
  const server = (flags: Record<string, string>, variables: Record<string, string> = {}) =>
    settings({ "data-dir": "/nowhere", ...flags }, variables).server;
  assertEquals(server({}), "http://127.0.0.1:1323");
  assertEquals(server({}, { CLESS_SERVER: "https://admin.example.org/" }), "https://admin.example.org");
  assertEquals(server({ server: "localhost:99" }, { CLESS_SERVER: "http://a" }), "http://localhost:99");
  assertEquals(server({ server: "https://a.example/cless//" }), "https://a.example/cless");
  assertEquals(server({}, { CLESS_SERVER: "http://a", CLESS_ADMIN: "b:1" }), "http://a");
  assertEquals(server({}, { CLESS_ADMIN: "10.0.0.1:99" }), "http://10.0.0.1:99");
  assertEquals(server({}, { CLESS_ADMIN: "0.0.0.0:99" }), "http://127.0.0.1:99");
  assertEquals(server({}, { CLESS_ADMIN: ":99" }), "http://127.0.0.1:99");
  assertEquals(server({}, { CLESS_ADMIN: "[::]:99" }), "http://[::1]:99");
  assertEquals(server({}, { CLESS_ADMIN: "[::1]:0" }), "http://127.0.0.1:1323", "port 0 tells nothing");
  assertEquals(caught(() => server({}, { CLESS_ADMIN: "99" })) instanceof UsageError, true);
});

Deno.test({
  name: "the server is where the serve with the same data-dir listens, if nothing else says where it is",
  ignore: noWrite,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "client-" });
    const file = `${folder}/admin-address`;
    const server = (variables: Record<string, string> = {}) => settings({ "data-dir": folder }, variables).server;
    try {
      for (
        const [address, url] of [
          ["127.0.0.1:4000", "http://127.0.0.1:4000"],
          ["0.0.0.0:4000", "http://127.0.0.1:4000"],
          ["[::]:4000", "http://[::1]:4000"],
          ["[fe80::1]:4000", "http://[fe80::1]:4000"],
          ["damaged", "http://127.0.0.1:1323"],
          ["", "http://127.0.0.1:1323"],
        ] as const
      ) {
        await Deno.writeTextFile(file, `${address}\n`);
        assertEquals(server(), url);
      }
      await Deno.writeTextFile(file, "127.0.0.1:4000\n");
      assertEquals(server({ CLESS_ADMIN: "127.0.0.1:0" }), "http://127.0.0.1:4000");
      assertEquals(server({ CLESS_ADMIN: "127.0.0.1:5000" }), "http://127.0.0.1:5000");
      assertEquals(settings({}, { CLESS_DATA_DIR: folder }).server, "http://127.0.0.1:4000");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("with a token, no folder has to be known", async () => {
  const read = readClientSettings(new Map([["token", ["x"]]]), {
    env: () => undefined,
    variables: () => [],
    root: false,
    terminal: false,
    memory: () => Infinity,
  });
  assertEquals([read.server, await read.token()], ["http://127.0.0.1:1323", { text: "x" }]);
});

readTest("a malformed server or token is refused", () => {
  for (const server of ["ftp://a", "http://", "http://a/?x", "http://user@a", "http://a:99999", "a b"]) {
    const error = caught(() => settings({ server }));
    assertEquals(error instanceof UsageError, true, server);
  }
  assertEquals(caught(() => settings({ token: "two words" })) instanceof UsageError, true);
});

readTest("the token of the flag comes first, then that of the variable, then that of the file", async () => {
  assertEquals(await settings({ token: "a" }, { CLESS_TOKEN: "b" }).token(), { text: "a" });
  assertEquals(await settings({}, { CLESS_TOKEN: "b" }).token(), { text: "b" });
});

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

Deno.test({
  name: "if there is no token, the message names the file that was tried and what to do",
  ignore: noWrite,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "client-" });
    const message = async (variables = {}) => {
      const error = await settings({ "data-dir": folder }, variables).token().catch((error) => error);
      return error instanceof OperatorError ? error.message : error;
    };
    try {
      assertEquals(
        await message(),
        `there is no token in ${folder}/admin-token; use sudo if cless runs as root, name its folder with --data-dir, ` +
          "or give a token with --token",
      );
      await Deno.mkdir(`${folder}/admin-token`);
      assertMatch(
        await message(),
        /^cannot read the token in .*\/admin-token: .*; use sudo, or give a token with --token$/,
      );
      await Deno.remove(`${folder}/admin-token`);
      await Deno.writeTextFile(`${folder}/admin-token`, "secret\n");
      assertEquals(await message(), { text: "secret", file: `${folder}/admin-token` });
      assertEquals(await settings({}, { CLESS_DATA_DIR: folder }).token(), {
        text: "secret",
        file: `${folder}/admin-token`,
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "a server that does not answer is reported in one line with what to do",
  ignore: noNet,
  fn: async () => {
    const url = `http://127.0.0.1:${freePorts(1)}`;
    assertEquals(await runMain("services", "--server", url, "--token", "x"), {
      code: 1,
      out: "",
      err:
        `cless: the cless at ${url} does not answer (connection refused); start it with cless serve, or name another ` +
        "one with --server",
    });
  },
});

const OTHER = "is not an admin API of cless";

apiTest("an answer that is not from cless is reported as that", {
  "GET /v1/services": new Response("<html>hello"),
  "GET /v1/instances": new Response("Bad gateway", { status: 502 }),
  "GET /v1/secrets": Response.redirect("http://127.0.0.1:1/"),
}, async (api) => {
  assertEquals((await api.run("services")).err, `cless: the server at ${api.url} ${OTHER}; name it with --server`);
  assertEquals(
    (await api.run("instances")).err,
    `cless: the server at ${api.url} ${OTHER} (status 502); name it with --server`,
  );
  assertEquals((await api.run("secrets")).code, 1, "the token goes nowhere else");
});

apiTest("an answer that breaks off is reported in one line, whether it is a refusal or not", {}, async (api) => {
  for (const status of [200, 503]) {
    api.answers["GET /v1/services"] = () => {
      let pulls = 0;
      const pull = (stream: ReadableStreamDefaultController) => {
        if (pulls++ === 0) stream.enqueue(new TextEncoder().encode('{"detail":'));
        else stream.error(new Error("gone"));
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), { status });
    };
    const { code, err } = await api.run("services");
    assertEquals([code, err.split("\n").length], [1, 1], err);
    const told = status === 200 ? `the cless at ${api.url} has broken off` : `the server at ${api.url} ${OTHER}`;
    assertEquals(err.startsWith(`cless: ${told}`), true, err);
  }
});

apiTest("the token is not sent on to another server, whatever the answer says", {}, async (api) => {
  await using other = new FakeApi({ "GET /v1/services": [] });
  for (const status of [301, 302, 303, 307, 308] as const) {
    api.answers["GET /v1/services"] = Response.redirect(`${other.url}/v1/services`, status);
    assertEquals((await api.run("services")).code, 1, `${status}`);
  }
  assertEquals([other.asked, api.asked.length], [[], 5]);
});

apiTest("the message says if the proxy answers in place of the admin API", {
  "GET /v1/services": problem(404, "There is no service for 127.0.0.1", { code: "unknown_host" }),
  "GET /v1/instances": problem(400, "The request needs one valid hostname", { code: "bad_host" }),
}, async (api) => {
  const err = `cless: the server at ${api.url} is the proxy of cless and not its admin API ` +
    "(http://127.0.0.1:1323 by default); name that with --server";
  for (const verb of ["services", "instances"]) assertEquals(await api.run(verb), { code: 1, out: "", err });
});

Deno.test({
  name: "a proxy of the environment gets no request for this machine",
  ignore: noNet || noRun,
  fn: async () => {
    await using api = new FakeApi({ "GET /v1/services": [] });
    const proxy = "http://127.0.0.1:9"; // nobody is there
    for (const server of [api.url, api.url.replace("127.0.0.1", "localhost")]) {
      const { success, stdout } = await new Deno.Command(Deno.execPath(), {
        args: programArgs("services", "--json", "--server", server, "--token", "secret"),
        env: { HTTP_PROXY: proxy, http_proxy: proxy },
        stdin: "null",
      }).output();
      assertEquals([success, new TextDecoder().decode(stdout)], [true, "[]\n"], server);
    }
  },
});

Deno.test({
  name: "if a token is refused, the message names the server and the file of the token",
  ignore: noNet || noWrite,
  fn: async () => {
    await using api = new FakeApi({});
    const folder = await Deno.makeTempDir({ prefix: "client-" });
    try {
      await Deno.writeTextFile(`${folder}/admin-token`, "other\n");
      const { err } = await runMain("services", "--server", api.url, "--data-dir", folder);
      assertEquals(
        err,
        `cless: the cless at ${api.url} refuses the token in ${folder}/admin-token: The token is missing or wrong`,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** A page of a list with a link to the next one. */
const page = (names: string[], link: string) =>
  new Response(JSON.stringify(names.map((name) => ({ ...WEB, name }))), { headers: { link: `<${link}>; rel="next"` } });

apiTest("a list has all of its pages, and the token goes to no other server", {
  "GET /v1/services": page(["web"], "http://127.0.0.1:1/v1/services?cursor=web&limit=1"),
  "GET /v1/services?cursor=web&limit=1": page(["zoo"], "/v1/services?cursor=zoo&limit=1"),
  "GET /v1/services?cursor=zoo&limit=1": page(["zoo2"], "/v1/services?cursor=zoo&limit=1"),
  "GET /v1/instances": page([], "http://127.0.0.1:1/v1/instances"),
}, async (api) => {
  assertEquals((await api.run("services", "-q")).out, "web\nzoo\nzoo2");
  assertEquals((await api.run("instances", "--json")).out, "[]");
});

apiTest("a refusal of the API is one line and exit code 1", {
  "GET /v1/services/web": problem(503, "the store cannot be used: the disk is full; make room"),
}, async (api) => {
  assertEquals(await api.run("describe", "nosuch"), {
    code: 1,
    out: "",
    err: "cless: there is no /v1/services/nosuch",
  });
  assertEquals((await api.run("describe", "web")).err, "cless: the store cannot be used: the disk is full; make room");
  const wrong = await runMain("services", "--server", api.url, "--token", "other");
  assertEquals(wrong, {
    code: 1,
    out: "",
    err: `cless: the cless at ${api.url} refuses the token given: The token is missing or wrong`,
  });
});

apiTest("a cless that does not know what is asked of it is said to be older", {
  "GET /v1/services/web/deploys": problem(404, "There is no such resource"),
}, async (api) => {
  const why = "it is older than this command, or --server does not name its admin API";
  assertEquals(
    (await api.run("history", "web", "--deploys")).err,
    `cless: the cless at ${api.url} does not know /v1/services/web/deploys: ${why}`,
  );
});
