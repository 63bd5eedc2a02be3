import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Folders, frozenFolders } from "../../../src/docker/freezer/cgroups.ts";
import { Freezer } from "../../../src/docker/freezer/freezer.ts";
import { childHelper, FreezerHelper, socketHelper } from "../../../src/docker/freezer/helper.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { until } from "../../support/until.ts";
import { noRead, noRun } from "../../support/permissions.ts";

const OWNER = "a1b2c3d4";
const [ONE, TWO, FOREIGN, OTHER_RUNTIME, UNKNOWN] = ["1", "2", "3", "4", "5"].map((digit) => digit.repeat(64)) as [
  string,
  string,
  string,
  string,
  string,
];

/** A made-up tree of control groups, and the engine's files of four containers. */
class Tree {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
    for (
      const [id, owner, runtime] of [[ONE, OWNER, "runc"], [TWO, OWNER, "crun"], [FOREIGN, "e5f6", "runc"], [
        OTHER_RUNTIME,
        OWNER,
        "kata",
      ]]
    ) {
      const folder = `${root}/engine/containers/${id}`;
      Deno.mkdirSync(folder, { recursive: true });
      // The text in the environment must not count as a label.
      const config = { Env: [`"cless.owner":"${OWNER}"`], Labels: { "cless.owner": owner, "cless.service": "shop" } };
      Deno.writeTextFileSync(`${folder}/config.v2.json`, JSON.stringify({ Config: config }));
      Deno.writeTextFileSync(`${folder}/hostconfig.json`, JSON.stringify({ Runtime: runtime }));
    }
    Deno.writeTextFileSync(`${root}/owner`, `${OWNER}\n`);
  }

  /** Makes a control group of version 1. @returns Its folder. */
  version1(name: string): string {
    return this.group(`freezer/${name}`, { "freezer.state": "THAWED\n" });
  }

  /** Makes a control group of version 2. @returns Its folder. */
  version2(name: string): string {
    return this.group(name, { "cgroup.freeze": "0\n", "cgroup.events": "populated 1\nfrozen 0\n" });
  }

  group(name: string, files: Readonly<Record<string, string>>): string {
    const folder = `${this.root}/cgroup/${name}`;
    Deno.mkdirSync(folder, { recursive: true });
    for (const [file, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${file}`, text);
    return folder;
  }

  open = () => childHelper(`${this.root}/owner`, `${this.root}/engine`, `${this.root}/cgroup`);
}

function treeTest(name: string, fn: (tree: Tree, helper: FreezerHelper) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRun,
    fn: async () => {
      const root = await Deno.makeTempDir({ prefix: "freezer-", ...IN_MEMORY });
      try {
        const tree = new Tree(root);
        await using helper = new FreezerHelper(tree.open, PATIENT);
        await fn(tree, helper);
      } finally {
        await Deno.remove(root, { recursive: true });
      }
    },
  });
}

/** Control groups are no files of a disk, which would be slow. */
const IN_MEMORY = noRead ? {} : await Deno.stat("/dev/shm").then(() => ({ dir: "/dev/shm" }), () => ({}));

/** A busy machine may need longer than a helper gets. */
const PATIENT = {
  ...systemClock,
  after: (ms: number, callback: () => void) => systemClock.after(ms * 100, callback),
};

/** The folders of a container; with version 2 they are the same. */
const at = (freezer: string, memory = freezer): Folders => ({ freezer, memory });

const read = (folder: string, file: string) => Deno.readTextFileSync(`${folder}/${file}`).trim();

treeTest("a control group of version 1 is frozen and thawed", async (tree, helper) => {
  for (const name of [`docker/${ONE}`, `system.slice/docker-${TWO}.scope`, `docker/${FOREIGN}/docker/${ONE}`]) {
    const folder = tree.version1(name);
    assertEquals(await helper.ask("look", at(folder)), "thawed");
    assertEquals([await helper.ask("freeze", at(folder)), read(folder, "freezer.state")], ["frozen", "FROZEN"]);
    Deno.writeTextFileSync(`${folder}/freezer.state`, "FREEZING\n");
    assertEquals(await helper.ask("look", at(folder)), "freezing");
    assertEquals([await helper.ask("thaw", at(folder)), read(folder, "freezer.state")], ["thawed", "THAWED"]);
  }
});

treeTest("a control group of version 2 is frozen once its events say so, and thawed", async (tree, helper) => {
  for (const name of [`docker/${ONE}`, `system.slice/docker-${TWO}.scope`]) {
    const folder = tree.version2(name);
    assertEquals(await helper.ask("look", at(folder)), "thawed");
    assertEquals([await helper.ask("freeze", at(folder)), read(folder, "cgroup.freeze")], ["freezing", "1"]);
    Deno.writeTextFileSync(`${folder}/cgroup.events`, "populated 1\nfrozen 1\n");
    assertEquals(await helper.ask("look", at(folder)), "frozen");
    assertEquals([await helper.ask("thaw", at(folder)), read(folder, "cgroup.freeze")], ["thawed", "0"]);
  }
});

treeTest("nothing is written for other containers, other runtimes, and what is no container", async (tree, helper) => {
  const unknown = `no: cannot read ${tree.root}/engine/containers/${UNKNOWN}/config.v2.json`;
  const wrongLabel = "has not the label of this cless, or another runtime than runc and crun";
  const noContainer = "is no control group of a container";
  const cases: [string, (id: string) => string][] = [
    [`docker/${FOREIGN}`, (folder) => `no: ${folder.slice(-64)} ${wrongLabel}`],
    [`docker/${OTHER_RUNTIME}`, (folder) => `no: ${folder.slice(-64)} ${wrongLabel}`],
    [`docker/${UNKNOWN}`, () => unknown],
    ["system.slice", (folder) => `no: ${folder} ${noContainer}`],
    [`docker/${ONE.slice(1)}`, (folder) => `no: ${folder} ${noContainer}`],
    [`docker/${ONE.slice(1)}Z`, (folder) => `no: ${folder} ${noContainer}`],
    [`docker/x/../${ONE}`, (folder) => `no: ${folder} ${noContainer}`],
  ];
  Deno.mkdirSync(`${tree.root}/cgroup/freezer/docker/x`, { recursive: true });
  for (const [name, answer] of cases) {
    const folder = tree.version1(name);
    for (const what of ["freeze", "thaw", "look"] as const) {
      assertEquals(await helper.ask(what, at(folder)), answer(folder));
    }
    assertEquals(read(folder, "freezer.state"), "THAWED");
  }
});

treeTest("a folder outside the control groups is refused", async (tree, helper) => {
  const folder = `${tree.root}/elsewhere/${ONE}`;
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/freezer.state`, "THAWED");
  assertEquals(await helper.ask("freeze", at(folder)), `no: ${folder} is no control group of a container`);
  assertEquals(read(folder, "freezer.state"), "THAWED");
});

treeTest("a group that has gone is told, and one that comes later in its place works", async (tree, helper) => {
  const folder = tree.version1(`docker/${ONE}`);
  assertEquals(await helper.ask("freeze", at(folder)), "frozen");
  await Deno.remove(folder, { recursive: true });
  assertEquals(await helper.ask("thaw", at(folder)), `no: cannot write ${folder}/freezer.state`);
  assertEquals(await helper.ask("look", at(folder)), `no: cannot read ${folder}/freezer.state`);
  helper.forget(at(folder));
  assertEquals(await helper.ask("look", at(folder)), `no: there is no freezer in ${folder}`);
  tree.version1(`docker/${ONE}`);
  assertEquals(await helper.ask("freeze", at(folder)), "frozen");
});

treeTest("a group that was forgotten gives its place to another", async (tree, helper) => {
  const [one, two] = [tree.version1(`docker/${ONE}`), tree.version1(`docker/${TWO}`)];
  assertEquals(await helper.ask("freeze", at(one)), "frozen");
  helper.forget(at(one));
  assertEquals([await helper.ask("freeze", at(two)), await helper.ask("thaw", at(two))], ["frozen", "thawed"]);
  assertEquals([read(one, "freezer.state"), read(two, "freezer.state")], ["FROZEN", "THAWED"]);
  assertEquals(await helper.ask("thaw", at(one)), "thawed");
});

Deno.test({ name: "nonsense is answered, and nothing of it is run", ignore: noRun }, async () => {
  const { readable, writable } = childHelper("/nowhere", "/nowhere");
  const lines = ["melt 1", "", "$(id) `id`", "thaw", "thaw 7", "freeze 1;id", "look $(id)", "use 1", "use x /sys; id"];
  const writer = writable.getWriter();
  await writer.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")));
  await writer.close();
  assertEquals((await new Response(readable).text()).trim().split("\n"), [
    "no: melt is not known",
    "no:  is not known",
    "no: $(id) is not known",
    "no: cannot write ",
    "no: cannot write ",
    "no: cannot write ",
    "no: cannot read ",
    "no:  is no control group of a container",
    "no: /sys; is no control group of a container",
  ]);
});

/** Asks about a reclaim until it is over. */
async function untilDone(helper: FreezerHelper, folders: Folders): Promise<void> {
  await until(async () => await helper.ask("progress", folders) !== "running");
}

treeTest("memory is moved to swap with version 1", async (tree, helper) => {
  const files = { "memory.force_empty": "", "memory.usage_in_bytes": "4096000\n" };
  const folder = tree.group(`memory/docker/${ONE}`, files);
  const folders = at(tree.version1(`docker/${ONE}`), folder);
  assertEquals(await helper.ask("reclaim", folders), "no: it is not frozen");
  await helper.ask("freeze", folders);
  assertEquals(await helper.ask("reclaim", folders), "started 4096000");
  await untilDone(helper, folders);
  assertEquals(read(folder, "memory.force_empty"), "0");
  Deno.writeTextFileSync(`${folder}/memory.usage_in_bytes`, "5\n");
  assertEquals(await helper.ask("progress", folders), "done 5");
});

treeTest("memory is moved for no other container than the frozen one", async (tree, helper) => {
  const other = tree.group(`memory/docker/${TWO}`, { "memory.force_empty": "" });
  for (const memory of [other, `${tree.root}/cgroup/memory/docker/x/../${TWO}`, "/", "", `/elsewhere/${ONE}`]) {
    const folders = at(tree.version1(`docker/${ONE}`), memory);
    await helper.ask("freeze", folders);
    assertEquals(await helper.ask("reclaim", folders), "no: the memory of 1 cannot be moved");
    helper.forget(folders);
  }
  assertEquals(read(other, "memory.force_empty"), "");
});

treeTest(
  "memory is moved to swap with version 2, and a limited container has swap only meanwhile",
  async (tree, helper) => {
    for (const [limit, before, after] of [["268435456", "0", "0"], ["max", "max", "max"]]) {
      const files = { "memory.reclaim": "", "memory.max": `${limit}\n`, "memory.swap.max": `${before}\n` };
      const folder = tree.version2(`docker/${ONE}`);
      const frozen = { "cgroup.freeze": "1\n", "cgroup.events": "frozen 1\n", "memory.current": "7\n" };
      tree.group(`docker/${ONE}`, { ...files, ...frozen });
      assertEquals(await helper.ask("reclaim", at(folder)), "started 7");
      await untilDone(helper, at(folder));
      assertEquals(await helper.ask("progress", at(folder)), "done 7");
      assertEquals([read(folder, "memory.reclaim"), read(folder, "memory.swap.max")], ["16M", after]);
    }
  },
);

treeTest("with version 2, memory is moved in pieces, and no more once the container runs", async (tree, helper) => {
  const files = { "memory.max": "268435456\n", "memory.swap.max": "0\n", "memory.current": "7\n" };
  const folder = tree.version2(`docker/${ONE}`);
  tree.group(`docker/${ONE}`, { ...files, "cgroup.freeze": "1\n", "cgroup.events": "populated 1\nfrozen 1\n" });
  await new Deno.Command("mkfifo", { args: [`${folder}/memory.reclaim`] }).output();
  using pieces = await Deno.open(`${folder}/memory.reclaim`, { read: true, write: true });
  assertEquals(await helper.ask("reclaim", at(folder)), "started 7");
  const text = new Uint8Array(8);
  for (let length = 0; length < text.length;) length += await pieces.read(text.subarray(length)) ?? 0;
  assertEquals([new TextDecoder().decode(text), read(folder, "memory.swap.max")], ["16M\n16M\n", "max"]);
  Deno.writeTextFileSync(`${folder}/cgroup.events`, "populated 1\nfrozen 0\n");
  await untilDone(helper, at(folder));
  assertEquals(read(folder, "memory.swap.max"), "0");
});

treeTest("with version 2, a piece that cannot be moved is the last", async (tree, helper) => {
  const files = { "memory.max": "1000\n", "memory.swap.max": "0\n", "memory.current": "7\n" };
  const folder = tree.version2(`docker/${ONE}`);
  tree.group(`docker/${ONE}`, { ...files, "cgroup.freeze": "1\n", "cgroup.events": "frozen 1\n" });
  Deno.symlinkSync("/dev/full", `${folder}/memory.reclaim`);
  assertEquals(await helper.ask("reclaim", at(folder)), "started 7");
  await untilDone(helper, at(folder));
  assertEquals(read(folder, "memory.swap.max"), "0");
});

/** Two frozen containers whose reclaims hang, as they hang in the kernel: nobody reads from the pipes. */
async function hangingReclaims(tree: Tree): Promise<[string, string]> {
  const folders = [ONE, TWO].map((id) => tree.version2(`docker/${id}`));
  const files = { "memory.max": "1000\n", "memory.swap.max": "0\n", "memory.current": "9\n" };
  const frozen = { "cgroup.freeze": "1\n", "cgroup.events": "frozen 1\n" };
  for (const folder of folders) {
    tree.group(folder.slice(`${tree.root}/cgroup/`.length), { ...files, ...frozen });
    await new Deno.Command("mkfifo", { args: [`${folder}/memory.reclaim`] }).output();
  }
  return [folders[0]!, folders[1]!];
}

treeTest("a thaw breaks a reclaim off at once, and only that of its container", async (tree, helper) => {
  const [one, two] = await hangingReclaims(tree);
  assertEquals(await helper.ask("reclaim", at(one)), "started 9");
  await until(() => read(one, "memory.swap.max") === "max");
  assertEquals(await helper.ask("reclaim", at(two)), "no: another reclaim is running");
  assertEquals(await helper.ask("thaw", at(two)), "thawed");
  assertEquals(await helper.ask("progress", at(one)), "running");
  assertEquals([await helper.ask("thaw", at(one)), await helper.ask("progress", at(one))], ["thawed", "done 9"]);
  await until(() => read(one, "memory.swap.max") === "0");
});

treeTest("a reclaim can be broken off without a thaw, and ends with the helper", async (tree, helper) => {
  const [one, two] = await hangingReclaims(tree);
  assertEquals(await helper.ask("reclaim", at(one)), "started 9");
  await until(() => read(one, "memory.swap.max") === "max");
  assertEquals([await helper.ask("cancel", at(one)), await helper.ask("progress", at(one))], ["ok", "done 9"]);
  await until(() => read(one, "memory.swap.max") === "0");
  assertEquals(await helper.ask("reclaim", at(two)), "started 9");
  await until(() => read(two, "memory.swap.max") === "max");
  await helper[Symbol.asyncDispose]();
  await until(() => read(two, "memory.swap.max") === "0");
});

treeTest("a helper that was ended is not started again", async (tree, helper) => {
  const folder = at(tree.version1(`docker/${ONE}`));
  assertEquals(await helper.ask("look", folder), "thawed");
  await helper[Symbol.asyncDispose]();
  assertEquals(await helper.ask("look", folder), undefined);
});

treeTest("questions at the same time are answered in order", async (tree, helper) => {
  const folders = [tree.version1(`docker/${ONE}`), tree.version1(`docker/${TWO}`)];
  const answers = Array.from(
    { length: 200 },
    (_, n) => helper.ask(n % 3 ? "freeze" : "thaw", at(folders[n % 2]!)),
  );
  assertEquals(await Promise.all(answers), answers.map((_, at) => at % 3 ? "frozen" : "thawed"));
});

treeTest("a helper whose input has ended has not failed, whatever it did", async (tree) => {
  const helper = tree.open();
  const writer = helper.writable.getWriter();
  await writer.write(new TextEncoder().encode("melt 1\n"));
  await Promise.all([writer.close(), helper.readable.pipeTo(new WritableStream())]);
  assertEquals((await helper.ended)?.code, 0);
});

treeTest("a helper that has died is replaced by the next question", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  const opened: ReturnType<typeof childHelper>[] = [];
  const open = () => {
    opened.push(tree.open());
    return opened.at(-1)!;
  };
  await using helper = new FreezerHelper(open, PATIENT);
  assertEquals(await helper.ask("freeze", at(folder)), "frozen");
  opened[0]!.kill();
  assertEquals([await helper.ask("thaw", at(folder)), opened.length], ["thawed", 2]);
});

/** A helper that greets, and answers nothing else. */
function silentHelper() {
  const lines = new TransformStream<Uint8Array<ArrayBuffer>>({}, { highWaterMark: 9 });
  let output: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  return {
    readable: new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        output = controller;
        controller.enqueue(new TextEncoder().encode("ready\n"));
      },
    }),
    writable: lines.writable,
    kill: () => output.close(),
  };
}

/** A helper that does what it is told, at once, and notes the commands. */
function obedientHelper(commands: string[]) {
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>(
    {
      transform(chunk, controller) {
        const [what = ""] = new TextDecoder().decode(chunk).trim().split(" ");
        commands.push(what);
        const answer = { hello: "ready", use: "ok", freeze: "frozen", thaw: "thawed" }[what];
        controller.enqueue(new TextEncoder().encode(`${answer}\n`));
      },
    },
    { highWaterMark: 9 },
    { highWaterMark: 9 },
  );
  return { readable, writable, kill: () => {} };
}

Deno.test("a thaw is written in the turn of the event loop in which it is ordered, and before any timer is set", async () => {
  const commands: string[] = [];
  let timers = 0;
  const after = (ms: number, callback: () => void) => (timers++, systemClock.after(ms, callback));
  await using helper = new FreezerHelper(() => obedientHelper(commands), { ...systemClock, after });
  const folders = new Map([[ONE, at(`/cgroup/freezer/docker/${ONE}`)]]);
  const freezer = new Freezer(helper, true, systemClock, {
    folders: () => Promise.resolve(folders),
    frozen: () => Promise.resolve(new Set()),
  });
  freezer.started("app", ONE);
  assertEquals(await freezer.freeze("app"), true);
  timers = 0;
  const thawed = freezer.thaw("app");
  // Nothing but promises can settle while only microtasks run.
  for (let turn = 0; turn < 10 && timers === 0; turn++) await undefined;
  assertEquals(commands, ["hello", "use", "freeze", "thaw"]);
  assertEquals(await thawed, true);
});

treeTest("a helper that does not answer in time is killed, and the next one answers", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  let opened = 0;
  await using helper = new FreezerHelper(() => opened++ === 0 ? silentHelper() : tree.open(), systemClock);
  assertEquals([await helper.ask("thaw", at(folder)), opened], ["thawed", 2]);
});

/** A helper that greets at once, and takes so long for each other answer. */
function slowHelper(answerMs: number): ReturnType<typeof childHelper> {
  const script = `echo ready; while read -r what n rest; do [ "$what" = hello ] && continue; sleep ${answerMs / 1000}
    if [ "$what" = use ]; then echo ok; else echo thawed; fi; done`;
  const child = new Deno.Command("sh", { args: ["-c", script], stdin: "piped", stdout: "piped" }).spawn();
  return { readable: child.stdout, writable: child.stdin, ended: child.status, kill: () => child.kill("SIGKILL") };
}

Deno.test({ name: "many commands at once, each in its turn, cost no helper that answers", ignore: noRun }, async () => {
  // Each answer takes far less than a helper may take, and all together far more.
  let opened = 0;
  const open = () => {
    opened++;
    return slowHelper(25);
  };
  const slowly = {
    ...systemClock,
    now: () => systemClock.now() / 20,
    after: (ms: number, callback: () => void) => systemClock.after(ms * 20, callback),
  };
  await using helper = new FreezerHelper(open, slowly);
  const answers = await Promise.all(Array.from({ length: 80 }, (_, n) => helper.ask("thaw", at(`/cg/${n}`))));
  assertEquals([answers.every((answer) => answer === "thawed"), opened], [true, 1]);
});

Deno.test({ name: "where the machine is slow, only the first helper is replaced", ignore: noRun }, async () => {
  let opened = 0;
  const open = () => {
    opened++;
    return slowHelper(150);
  };
  await using helper = new FreezerHelper(open, systemClock);
  const answers: Promise<string | undefined>[] = [];
  for (let n = 0; n < 6; n++) {
    answers.push(helper.ask("thaw", at(`/cg/${n}`)));
    await new Promise((resolve) => setTimeout(resolve, 100)); // the wakes of a busy machine, one after the other
  }
  assertEquals([await Promise.all(answers), opened], [Array(6).fill("thawed"), 2]);
});

treeTest("a freeze whose answer nobody takes is undone", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  const helper = tree.open();
  const [reader, writer] = [helper.readable.getReader(), helper.writable.getWriter()];
  const send = (line: string) => writer.write(new TextEncoder().encode(`${line}\n`));
  await send(`use 1 ${folder} ${folder}`);
  assertEquals(new TextDecoder().decode((await reader.read()).value), "ok\n");
  await reader.cancel();
  await send("freeze 1");
  await writer.close();
  await helper.ended;
  assertEquals(read(folder, "freezer.state"), "THAWED");
});

Deno.test("without a helper there is no answer, and no error but the reason", async () => {
  await using helper = new FreezerHelper(() => Promise.reject(new Error("no such file")), systemClock);
  await helper.begin(); // fails quietly
  assertEquals([await helper.prepare(), await helper.ask("look", at("/sys"))], ["no such file", undefined]);
});

treeTest("a helper that cannot read the owner or the engine's files says so", async (tree) => {
  const folder = at(tree.version1(`docker/${ONE}`));
  for (const [owner, engine, missing] of [["none", "engine", "none"], ["owner", "none", "none/containers"]] as const) {
    const open = () => childHelper(`${tree.root}/${owner}`, `${tree.root}/${engine}`, `${tree.root}/cgroup`);
    await using helper = new FreezerHelper(open, PATIENT);
    assertStringIncludes(await helper.ask("freeze", folder) ?? "", `no: cannot read ${tree.root}/${missing}`);
  }
});

treeTest("a helper can be behind a unix socket", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  const path = `${tree.root}/freezer.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const served = (async () => {
    const conn = await listener.accept();
    const child = tree.open();
    await Promise.all([conn.readable.pipeTo(child.writable), child.readable.pipeTo(conn.writable), child.ended]);
  })();
  {
    await using helper = new FreezerHelper(() => socketHelper(path), PATIENT);
    assertEquals(await helper.ask("freeze", at(folder)), "frozen");
  }
  await served;
});

treeTest("groups that are frozen, or about to be, are found in both versions", async (tree) => {
  const [thawed, frozen, freezing] = ["a", "b", "c"].map((name) => tree.version1(name));
  const [thawed2, frozen2] = ["d", "e"].map((name) => tree.version2(name));
  Deno.writeTextFileSync(`${frozen}/freezer.state`, "FROZEN\n");
  Deno.writeTextFileSync(`${freezing}/freezer.state`, "FREEZING\n");
  Deno.writeTextFileSync(`${frozen2}/cgroup.freeze`, "1\n");
  const all = [thawed!, frozen!, freezing!, thawed2!, frozen2!, `${tree.root}/gone`];
  assertEquals(await frozenFolders(all), new Set([frozen!, freezing!, frozen2!]));
  assertEquals(await frozenFolders([]), new Set());
});
