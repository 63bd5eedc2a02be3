import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import type { Lag } from "../../src/base/lag.ts";
import {
  type Ask,
  askWithin,
  notInTime,
  NotReady,
  probe,
  type Probed,
  Prober,
  untilReady,
} from "../../src/pool/probe.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { deafUrl } from "../support/free_ports.ts";
import { never, newRevision } from "../support/kit.ts";
import { noNet, noRun } from "../support/permissions.ts";

type Turn = "close" | "hang" | `HTTP/1.${string}` | `SSH-${string}`;

/** An app that does what the test says with each connection in turn, and the last of that with all further ones. */
function newApp(...turns: Turn[]) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let connections = 0;
  let arrival = Promise.withResolvers<void>();
  const served = (async () => {
    for await (const connection of listener) {
      const turn = turns[Math.min(connections++, turns.length - 1)]!;
      arrival.resolve();
      arrival = Promise.withResolvers();
      if (turn === "close") connection.close();
      else open.add(connection);
      if (turn === "close" || turn === "hang") continue;
      await connection.read(new Uint8Array(4096));
      await connection.write(new TextEncoder().encode(`${turn}\r\ncontent-length: 0\r\n\r\n`));
    }
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}/`,
    get connections() {
      return connections;
    },
    /** Resolves when there have been so many connections. */
    async connected(count: number) {
      while (connections < count) await arrival.promise;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
      for (const connection of open) connection.close();
    },
  };
}

Deno.test({ name: "any status below 500 means that an app is ready", ignore: noNet }, async () => {
  for (const status of ["200 OK", "204 No Content", "302 Found", "401 Unauthorized", "404 Not Found"] as const) {
    await using app = newApp(`HTTP/1.1 ${status}`);
    await untilReady(app.url, systemClock, never());
    assert(app.connections >= 1);
  }
});

Deno.test({ name: "server errors, closed connections and garbage mean: not ready yet", ignore: noNet }, async () => {
  await using app = newApp("close", "HTTP/1.1 503 Busy", "HTTP/1.1 what", "HTTP/1.1 200 OK");
  await untilReady(app.url, systemClock, never());
  assert(app.connections >= 4);
});

Deno.test({ name: "an app that does not listen yet is probed again until it does", ignore: noNet }, async () => {
  const { port } = await (async () => {
    await using app = newApp("close");
    return new URL(app.url);
  })();
  const ready = untilReady(`http://127.0.0.1:${port}/`, systemClock, never());
  const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(port) });
  const connection = await listener.accept();
  await connection.read(new Uint8Array(4096));
  await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
  await ready;
  connection.close();
  listener.close();
});

Deno.test({ name: "a probe without an answer does not prevent further ones", ignore: noNet }, async () => {
  await using app = newApp("hang", "HTTP/1.1 200 OK");
  await untilReady(app.url, systemClock, never());
  assert(app.connections >= 2);
});

Deno.test({ name: "the wait for an app ends with its signal, also during an attempt", ignore: noNet }, async () => {
  await using app = newApp("hang");
  const end = new AbortController();
  const waiting = untilReady(app.url, systemClock, end.signal);
  await app.connected(1);
  end.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
});

Deno.test({ name: "a probe tells how an app answers, or fails to answer", ignore: noNet }, async () => {
  const cases: [turn: Turn, probed: Probed][] = [
    ["HTTP/1.1 200 OK", 200],
    ["HTTP/1.0 503 Busy", 503],
    ["close", "closed"],
    ["SSH-2.0-OpenSSH_9.6", "garbage"],
  ];
  for (const [turn, probed] of cases) {
    await using app = newApp(turn); // every connection gets the same
    assertEquals(await probe(app.url, never()), probed, turn);
  }
  const gone = newApp("close");
  await gone[Symbol.asyncDispose]();
  assertEquals(await probe(gone.url, never()), "refused");
  await using silent = newApp("hang");
  assertEquals(await probe(silent.url, AbortSignal.timeout(50)), "silent");
});

Deno.test({ name: "an answer that comes in pieces is read to its end", ignore: noNet }, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const order: string[] = [];
  const probed = probe(`http://127.0.0.1:${listener.addr.port}/`, never()).then((status) => order.push(`${status}`));
  using connection = await listener.accept();
  await connection.read(new Uint8Array(4096));
  await connection.write(new TextEncoder().encode("HTTP/1.0 500 Broken\r\n\r\n"));
  await new Promise((resolve) => setTimeout(resolve, 1));
  await connection.write(new TextEncoder().encode("the body"));
  order.push("written");
  connection.closeWrite();
  await probed;
  assertEquals(order, ["written", "500"]);
});

/** What an app did last, if the wait for it ends after so many connections. */
async function lastOf(connections: number, ...turns: Turn[]): Promise<Probed> {
  await using app = newApp(...turns);
  const end = new AbortController();
  const waiting = assertRejects(() => untilReady(app.url, systemClock, end.signal), NotReady, "enough");
  await app.connected(connections);
  end.abort(new Error("enough"));
  return (await waiting).last;
}

Deno.test(
  { name: "the error of an app that is not ready in time names what the app did last", ignore: noNet },
  async () => {
    assertEquals(await lastOf(3, "close", "HTTP/1.1 503 Busy"), 503);
    assertEquals(await lastOf(3, "HTTP/1.1 503 Busy", "close"), "closed");
    assertEquals(await lastOf(3, "close", "hang"), "silent");
    assertEquals(await lastOf(1, "hang"), "silent");
  },
);

Deno.test(
  { name: "an app is probed directly, whatever proxy the environment names", ignore: noNet || noRun },
  async () => {
    await using app = newApp("HTTP/1.1 200 OK");
    const source = new URL("../../src/", import.meta.url);
    const script = `
    import { systemClock } from "${source}base/clock.ts";
    import { untilReady } from "${source}pool/probe.ts";
    await untilReady("${app.url}", systemClock, AbortSignal.timeout(3000));
  `;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", script],
      env: { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  },
);

Deno.test({ name: "a probe asks for the path alone, with the app's address as the host", ignore: noNet }, async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked = (async () => {
    using connection = await listener.accept();
    const buffer = new Uint8Array(4096);
    const count = await connection.read(buffer);
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    return new TextDecoder().decode(buffer.subarray(0, count!)).split("\r\n");
  })();
  const { port } = listener.addr;
  await untilReady(`http://127.0.0.1:${port}/health?deep=1`, systemClock, never());
  const [line, ...headers] = await asked;
  assertEquals([line, headers.includes(`host: 127.0.0.1:${port}`)], ["GET /health?deep=1 HTTP/1.1", true]);
  listener.close();
});

/** A clock whose time passes only in pauses, and the pauses that there were until the time `end`, ms. */
function pauseClock(end: number): { clock: Clock; signal: AbortSignal; pauses: number[] } {
  const over = new AbortController();
  const pauses: number[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => now,
    after(ms, callback) {
      if (ms >= 100) return () => {}; // the wait for an attempt, which ends by itself
      pauses.push(ms);
      now += ms;
      if (now >= end) over.abort(new Error("enough"));
      queueMicrotask(callback);
      return () => {};
    },
    every: () => () => {},
  };
  return { clock, signal: over.signal, pauses };
}

Deno.test({
  name: "an app is probed every millisecond at first, and ever more rarely the longer it takes",
  ignore: noNet,
  fn: async () => {
    const { clock, pauses, signal } = pauseClock(10_000);
    await assertRejects(() => untilReady(deafUrl(), clock, signal), NotReady);
    assertEquals(new Set(pauses.slice(0, 100)), new Set([1]));
    let passed = 0;
    for (const pause of pauses) {
      assert(pause >= 1 && pause <= 50 && pause <= Math.max(1, passed / 50), `${pause} ms after ${passed}`);
      passed += pause;
    }
    assertEquals(pauses.at(-1), 50);
  },
});

Deno.test({ name: "with many apps to wait for, the attempts after the first are rarer", ignore: noNet }, async () => {
  const many = Array.from({ length: 20 }, () => pauseClock(1000));
  await Promise.all(
    many.map(({ clock, signal }) => assertRejects(() => untilReady(deafUrl(), clock, signal), NotReady)),
  );
  for (const { pauses } of many) {
    assertEquals(pauses[0], 1);
    assert(pauses.length <= 1000 / 10, `${pauses.length} attempts`);
  }
  const { clock, pauses, signal } = pauseClock(20);
  await assertRejects(() => untilReady(deafUrl(), clock, signal), NotReady);
  assertEquals(pauses[1], 1);
});

Deno.test("if nothing listens on the port and the image exposes one other port, the message says to deploy with that port", () => {
  const revision = newRevision();
  const otherwise = notInTime(revision, "refused");
  assertEquals(
    notInTime(revision, "refused", [3000]),
    "nothing listens on port 8080 after 30s; the image exposes 3000: deploy with --port 3000",
  );
  assertEquals(
    notInTime(revision, "closed", [3000]),
    "port 8080 closes connections after 30s; the image exposes 3000: deploy with --port 3000",
  );
  for (const ports of [[], [8080], [3000, 9000], [3000, 8080]]) {
    assertEquals(notInTime(revision, "refused", ports), otherwise);
  }
  assertEquals(notInTime(revision, 503, [3000]), notInTime(revision, 503));
});

Deno.test("the message about an app that is not ready in time says what it did and should do", () => {
  const revision = { ...newRevision(), readinessPath: "/up" };
  const cases: [last: Probed, said: string][] = [
    ["refused", "nothing listens on port 8080 after 30s; the app must listen there on all addresses"],
    [
      "closed",
      "port 8080 closes connections without an answer after 30s; the app must listen there on all addresses, and speak HTTP",
    ],
    ["garbage", "what answers on port 8080 after 30s is not HTTP/1.1; the app must speak HTTP/1.1 there"],
    ["silent", "no answer on port 8080 within 30s; the app must listen there on all addresses, and answer GET /up"],
    [503, "GET /up on port 8080 still gives 503 after 30s; the app must give a status below 500 there"],
  ];
  for (const [last, said] of cases) assertEquals(notInTime(revision, last), said);
  assertEquals(
    notInTime({ ...revision, startTimeoutMs: 1500 }, "refused"),
    "nothing listens on port 8080 after 1500ms; the app must listen there on all addresses",
  );
});

/** A prober whose one app does what the test says, after some time. */
function newProber(does: Probed, lag: Partial<Lag> & { late?: boolean } = {}) {
  let [watched, lent] = [0, 0];
  const prober = new Prober(
    systemClock,
    {
      watch() {
        watched++;
        return () => void watched--;
      },
      wasLate: () => lag.late ?? false,
    },
    { lend: () => void lent++ },
    () => Promise.resolve(does),
  );
  return { ask: () => prober.ask("http://10.0.0.2/", never()), watched: () => watched, lent: () => lent };
}

Deno.test("if cless itself lagged during a probe, silence or a closed connection is reported as unsure", async () => {
  for (const does of [200, 503, "garbage", "refused", "closed", "silent"] as const) {
    const onTime = newProber(does);
    assertEquals([await onTime.ask(), onTime.watched(), onTime.lent()], [does, 0, 0]);
    const late = newProber(does, { late: true });
    assertEquals(await late.ask(), does === "closed" || does === "silent" ? "unsure" : does);
  }
});

Deno.test("a probe that finds no file descriptor borrows some for the next one", async () => {
  const prober = newProber("unsure");
  assertEquals([await prober.ask(), prober.lent()], ["unsure", 1]);
});

/** Attempts that the test answers, each with the time at which it began. */
function newAttempts() {
  const clock = new FakeClock();
  const began = clock.now();
  const attempts: { atMs: number; signal: AbortSignal; answer: (probed: Probed) => void }[] = [];
  const ask: Ask = (_url, signal) =>
    new Promise((resolve) => attempts.push({ atMs: clock.now() - began, signal, answer: resolve }));
  return { clock, attempts, ask };
}

Deno.test("an attempt without an answer goes on beside the next ones, which begin at doubling intervals, and may still succeed", async () => {
  const { clock, attempts, ask } = newAttempts();
  const end = new AbortController();
  let isReady = false;
  const ready = untilReady("http://app/", clock, end.signal, ask).then(() => isReady = true);
  await clock.advance(800);
  assertEquals(attempts.map(({ atMs }) => Math.round(atMs)), [1, 102, 305, 712]);
  attempts[0]!.answer(204);
  await settle();
  assertEquals([isReady, attempts.every(({ signal }) => signal.aborted)], [false, true]);
  for (const { answer } of attempts) answer("silent"); // the others have ended, too
  await ready;
  assertEquals(clock.timers, 0);
});

Deno.test("the error names the last thing that an app did before its time was up, and nothing that came after that", async () => {
  for (
    const [answers, last] of [[[503, "closed"], "closed"], [[503], "silent"], [
      ["refused", "unsure"],
      "unsure",
    ]] as const
  ) {
    const { clock, attempts, ask } = newAttempts();
    const end = new AbortController();
    const ready = assertRejects(() => untilReady("http://app/", clock, end.signal, ask), NotReady, "enough");
    for (const answer of answers) {
      const { length } = attempts;
      while (attempts.length === length) await clock.advance(1);
      attempts[length]!.answer(answer);
      await settle();
    }
    if (last === "silent") await clock.advance(150);
    end.abort(new Error("enough"));
    for (const { answer } of attempts) answer("garbage");
    await settle();
    for (const { answer } of attempts) answer("garbage");
    assertEquals((await ready).last, last);
    assertEquals(clock.timers, 0);
  }
});

Deno.test("with 20 apps to wait for, each is probed 20 times more rarely", async () => {
  const pauses = async (count: number) => {
    const { clock, attempts, ask } = newAttempts();
    const end = new AbortController();
    const waiting = Array.from({ length: count }, () => untilReady("http://app/", clock, end.signal, ask));
    while (attempts.length < 2 * count) {
      for (const { answer } of attempts) answer(503);
      await clock.advance(1);
    }
    end.abort(new Error("enough"));
    for (const { answer } of attempts) answer(503);
    await Promise.allSettled(waiting);
    return attempts[count]!.atMs - attempts[0]!.atMs;
  };
  assertEquals([await pauses(1), await pauses(20), await pauses(1)], [1, 20, 1]);
});

Deno.test("a probe with a time limit leaves no timer, and is aborted when its time is up", async () => {
  const { clock, attempts, ask } = newAttempts();
  const answered = askWithin(ask, "http://app/", clock, 100);
  attempts[0]!.answer(200);
  assertEquals([await answered, clock.timers, attempts[0]!.signal.aborted], [200, 0, false]);
  const late = askWithin(ask, "http://app/", clock, 100);
  await clock.advance(99);
  assertEquals(attempts[1]!.signal.aborted, false);
  await clock.advance(1);
  assertEquals(attempts[1]!.signal.aborted, true);
  attempts[1]!.answer("silent");
  assertEquals([await late, clock.timers], ["silent", 0]);
});

Deno.test("a wait for an app tells what the app did at each probe", async () => {
  const clock = new FakeClock();
  const answers: Probed[] = ["refused", 503, 200];
  const told: Probed[] = [];
  const ask = () => Promise.resolve(answers.shift()!);
  await clock.until(untilReady("http://app/", clock, never(), ask, (probed) => told.push(probed)));
  assertEquals(told, ["refused", 503, 200]);
});
