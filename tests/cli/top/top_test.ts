import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { deafUrl } from "../../support/free_ports.ts";
import { noNet, noRun } from "../../support/permissions.ts";
import { hasPseudoTerminals, PseudoTerminal, type PseudoTerminalOptions } from "../../support/pseudo_terminal.ts";
import { until } from "../../support/until.ts";
import { ago, type Answer, apiTest, FakeApi, problem } from "../fake_api.ts";
import { programArgs } from "../run_main.ts";
import { BLOG, newActivity, SERVICES, SHOP } from "./activities.ts";

const ACTIVITY = "GET /v1/activity";
const FAILING = { ...SHOP, failingSince: ago("3m") };
const SERVICES_NOW = SERVICES.map((service) => service === SHOP ? FAILING : service);
const ANSWERS = { [ACTIVITY]: SERVICES_NOW };

apiTest("--once prints all columns of all services, under what sums them up", ANSWERS, async (api) => {
  const { code, err, out } = await api.run("top", "--once");
  assertEquals([code, err], [0, ""]);
  assertEquals(
    out,
    [
      "5 services, 1 awake, 92.0 MiB not used",
      "shop is failing for 3m: it ended with code 1",
      "",
      "SERVICE  STATE       REQ/S  ERR/S  P50    P99    IN-FLIGHT  MEMORY    SWAP      COLD/H  PAUSED/H  HIBERNATED/H  LAST 10 MIN",
      "shop     failing     0      0      -      -      0          -         -         0       0         0             ▁▁▁▁▁▁▁▁▁▁",
      "blog     ready       3.2    0.2    3.7ms  412ms  2+1        80.0 MiB  -         1       12        2             ▁▂▄█▅▂▁▁▄▆",
      "api      paused      0      0      -      -      0          4.0 MiB   32.0 MiB  0       0         0             ▁▁▁▁▁▁▁▁▁▁",
      "wiki     hibernated  0      0      -      -      0          -         32.0 MiB  0       0         0             ▁▁▁▁▁▁▁▁▁▁",
      "docs     asleep      0      0      -      -      0          -         -         0       0         0             ▁▁▁▁▁▁▁▁▁▁",
    ].join("\n"),
  );
  assertEquals(api.asked.map(({ line }) => line), [`${ACTIVITY}?minutes=10`]);
});

apiTest("--json prints what the API has, filtered and sorted", ANSWERS, async (api) => {
  assertEquals(JSON.parse((await api.run("top", "--json")).out).length, 5);
  const { out } = await api.run("top", "--json", "--filter", "o", "--sort", "memory");
  assertEquals(JSON.parse(out), [BLOG, newActivity("docs"), FAILING]);
  assertEquals((await api.run("top", "--once", "--filter", "zzz")).out.split("\n").length, 2, "no table without rows");
});

apiTest("top says what is wrong with its use, and what else there is", ANSWERS, async (api) => {
  const wrong = await api.run("top", "--sort", "size");
  assertEquals(wrong.code, 2);
  assertMatch(wrong.err, /--sort: "size" is not allowed: expected one of state, name, requests/);
  assertEquals(await api.runWith("", "top"), {
    code: 2,
    out: "",
    err: "cless: top needs a terminal; cless top --once prints a table, and cless top --json JSON\n",
  });
});

const noTerminal = noNet || noRun || !await hasPseudoTerminals();

/** `cless top` in a terminal, with an API that answers. */
interface Setting {
  readonly api: FakeApi;
  readonly terminal: PseudoTerminal;
}

/** A test with `cless top` in a terminal, in which the list of services is shown. */
function terminalTest(
  name: string,
  run: (setting: Setting) => Promise<void>,
  { answers = ANSWERS, args = [], ...options }: PseudoTerminalOptions & {
    answers?: Record<string, Answer>;
    args?: string[];
  } = {},
): void {
  Deno.test({
    name,
    ignore: noTerminal,
    fn: async () => {
      await using api = new FakeApi({ ...answers });
      const program = [Deno.execPath(), ...programArgs("top", "--server", api.url, "--token", "secret", ...args)];
      await using terminal = PseudoTerminal.start(program, { columns: 120, rows: 14, ...options });
      await terminal.shows("q quit");
      await run({ api, terminal });
    },
  });
}

/** The terminal is as it was before the program, and the program has ended with this code. */
async function assertRestored(terminal: PseudoTerminal, code: number): Promise<void> {
  await terminal.end();
  const { before, after } = terminal.settings;
  assert(before !== undefined);
  assertEquals(after, before);
  const { isCursorShown, isOther, wraps } = terminal.screen;
  assertEquals({ isCursorShown, isOther, wraps }, { isCursorShown: true, isOther: false, wraps: true });
  assertEquals(terminal.code, code, terminal.screen.text);
}

terminalTest("q leaves, and the terminal is as it was before", async ({ terminal }) => {
  const { screen } = terminal;
  assertEquals([screen.isCursorShown, screen.isOther, screen.wraps], [false, true, false]);
  assertEquals(screen.lines[0], "5 services, 1 awake, 92.0 MiB not used");
  assertEquals(screen.lines[1], "shop is failing for 3m: it ended with code 1");
  assertEquals(screen.lines.slice(4, 9).map((line) => line.split(" ")[0]), ["shop", "blog", "api", "wiki", "docs"]);
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

terminalTest("Ctrl-C leaves, and the terminal is as it was before", async ({ terminal }) => {
  await terminal.press("\x03");
  await assertRestored(terminal, 130);
});

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129], ["SIGQUIT", 131]] as const) {
  terminalTest(`after ${signal}, the terminal is as it was before`, async ({ terminal }) => {
    Deno.kill(terminal.pid, signal);
    await assertRestored(terminal, code);
  });
}

terminalTest("a refusal ends it with one line, and the terminal is as it was before", async ({ api, terminal }) => {
  api.answers[ACTIVITY] = problem(401, "The token is revoked");
  await assertRestored(terminal, 1);
  const [, said] = /\n(cless: .*)\nafter/s.exec(terminal.screen.text) ?? [];
  assertEquals(said, `cless: the cless at ${api.url} refuses the token given: The token is revoked`);
});

terminalTest(
  "an error that nobody expects ends it too, and the terminal is as it was before",
  async ({ api, terminal }) => {
    api.answers[ACTIVITY] = { services: "no list" };
    await assertRestored(terminal, 1);
    assertStringIncludes(terminal.screen.text, "\ncless: this should not have happened: ");
  },
);

/** The letter of a process's state, as proc(5) has it; empty if there is no such process. */
async function processState(pid: number): Promise<string> {
  try {
    return /\) (\w)/.exec(await Deno.readTextFile(`/proc/${pid}/stat`))?.[1] ?? "";
  } catch {
    return "";
  }
}

terminalTest("a terminal that is gone ends it", async ({ api, terminal }) => {
  const { pid } = terminal;
  const isAsking = Promise.withResolvers<void>();
  api.answers[ACTIVITY] = () => {
    isAsking.resolve();
    return Response.json(SERVICES_NOW);
  };
  await isAsking.promise;
  await terminal.hangUp();
  await until(async () => /^[XZ]?$/.test(await processState(pid)));
});

terminalTest("Ctrl-Z gives the terminal back until the program goes on", async ({ terminal }) => {
  const { screen } = terminal;
  await terminal.press("\x1a");
  await terminal.until(({ isOther }) => !isOther);
  assertEquals([screen.isCursorShown, screen.wraps], [true, true]);
  await until(async () => await processState(terminal.pid) === "T");
  await terminal.press("\n");
  await terminal.until(({ isOther, text }) => isOther && text.includes("q quit"));
  await terminal.press("q");
  await assertRestored(terminal, 0);
}, { hasJobControl: true });

terminalTest("without a shell that could let it go on, Ctrl-Z does nothing", async ({ terminal }) => {
  await terminal.press("\x1as");
  await terminal.shows("sort: name");
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

terminalTest("the screen follows the size of the terminal", async ({ terminal }) => {
  await terminal.resize(40, 12);
  await terminal.until(({ lines, text }) =>
    lines[11]!.includes("open") && text.includes("P99") && !text.includes("P50")
  );
  assertEquals(terminal.screen.lines[3], "SERVICE       STATE       REQ/S    P99");
  await terminal.resize(100, 4);
  await terminal.until(({ text }) => text.includes("MEMORY") && !text.includes("quit"));
  await terminal.resize(120, 14);
  await terminal.shows("q quit");
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

terminalTest("keys sort, filter and mark", async ({ terminal }) => {
  await terminal.press("s");
  await terminal.shows("sort: name");
  assertEquals(terminal.screen.lines.slice(4, 9).map((line) => line.split(" ")[0]), [
    ...["api", "blog", "docs", "shop", "wiki"],
  ]);
  await terminal.press("/");
  await terminal.press("o");
  await terminal.shows("/o   Enter keeps it");
  assertEquals(terminal.screen.lines.slice(4, 8).map((line) => line.split(" ")[0]), ["blog", "docs", "shop", ""]);
  await terminal.press("\r\x1b[B");
  await terminal.until(({ cells }) => cells[5]!.every(({ style }) => style === "7"));
  await terminal.press("\x1b"); // Escape is known only when nothing follows
  await terminal.shows("/ filter");
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

terminalTest("a lost connection is told, and made again", async ({ api, terminal }) => {
  const answer = api.answers[ACTIVITY]!;
  api.answers[ACTIVITY] = problem(503, "cless is shutting down");
  await terminal.shows("connection lost (cless is shutting down), trying again");
  assertEquals(terminal.screen.cells[6]!.slice(0, 3).map(({ style }) => style), ["2", "2", "2"], "what is old is dim");
  api.answers[ACTIVITY] = answer;
  await terminal.shows("5 services");
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

terminalTest("cless may be started anew meanwhile", async ({ api, terminal }) => {
  const { port } = new URL(api.url);
  await api[Symbol.asyncDispose]();
  await terminal.shows("connection lost (connection refused), trying again");
  await using _later = new FakeApi({ [ACTIVITY]: [BLOG] }, Number(port));
  await terminal.shows("1 service, 1 awake");
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

/** A log that goes on, with lines that would break a screen. */
const LOG = () => {
  const lines = ["one\x1b[2J\x1b[1;1H", "二 世界 👩‍💻\x07", "x".repeat(500)];
  const text = lines.map((text) => JSON.stringify({ instance: "blog-1-a1", revision: "blog-1", text }) + "\n").join("");
  return new Response(new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode(text)) }));
};

terminalTest(
  "Enter opens a service with its instances and its log, and Escape goes back",
  async ({ api, terminal }) => {
    await terminal.press("\x1b[B\r");
    await terminal.shows("blog-1-a1 | xxx");
    await terminal.shows("blog-1-a1  ready");
    const { lines } = terminal.screen;
    assertEquals(lines[0], "blog is ready");
    assertEquals(lines.slice(9, 13), [
      "blog-1-a1 | one",
      "blog-1-a1 | 二 世界 👩💻",
      `blog-1-a1 | ${"x".repeat(108)}`,
      "",
    ]);
    assert(api.asked.some(({ line }) => line === "GET /v1/services/blog/logs?follow=true&tail=200"));
    await terminal.press("\x1b");
    await terminal.shows("Enter open");
    await terminal.press("q");
    await assertRestored(terminal, 0);
  },
  {
    answers: {
      ...ANSWERS,
      "GET /v1/services/blog/logs": LOG,
      "GET /v1/instances?service=blog": [{
        ...{ id: "blog-1-a1", service: "blog", revision: "blog-1", state: "ready", address: "", inFlight: 1 },
        ...{ startedAt: "2027-01-31T11:50:00Z", lastUsedAt: "2027-01-31T11:59:58Z" },
      }],
    },
  },
);

terminalTest("only what has changed is written", async ({ api, terminal }) => {
  const before = terminal.written;
  let requests = 1000;
  api.answers[ACTIVITY] = () => Response.json([...SERVICES_NOW, { ...BLOG, requestsPerSecond: ++requests }]);
  await terminal.shows("1003");
  const written = terminal.written - before;
  assert(written < 1000, `${written} bytes for a new row and two numbers`);
  assertEquals(terminal.screen.erased, 1);
  await terminal.press("\x0c"); // Ctrl-L
  await terminal.until(({ erased }) => erased === 2);
  await terminal.press("q");
  await assertRestored(terminal, 0);
});

terminalTest("with NO_COLOR, nothing has a colour", async ({ terminal }) => {
  const styles = new Set(terminal.screen.cells.flat().flatMap(({ style }) => style.split(";")));
  assertEquals([...styles].sort(), ["", "1", "2", "7"]);
  await terminal.press("q");
  await assertRestored(terminal, 0);
}, { env: { NO_COLOR: "1" } });

Deno.test({
  name: "without an answer at the start, there is one line and no other screen",
  ignore: noTerminal,
  fn: async () => {
    const url = deafUrl();
    const program = [Deno.execPath(), ...programArgs("top", "--server", url, "--token", "secret")];
    await using terminal = PseudoTerminal.start(program, { columns: 160 });
    await assertRestored(terminal, 1);
    assertStringIncludes(terminal.screen.text, `\ncless: the cless at ${url} does not answer (connection refused)`);
  },
});
