import { assertEquals } from "@std/assert";
import { frozenFolders } from "../../../src/docker/freezer/cgroups.ts";
import { childHelper, FreezerHelper, socketHelper } from "../../../src/docker/freezer/helper.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { noRun } from "../../support/permissions.ts";

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
      const root = await Deno.makeTempDir({ prefix: "freezer-" });
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

/** A busy machine may need longer than a helper gets. */
const PATIENT = {
  ...systemClock,
  after: (ms: number, callback: () => void) => systemClock.after(ms * 100, callback),
};

const read = (folder: string, file: string) => Deno.readTextFileSync(`${folder}/${file}`).trim();

treeTest("a control group of version 1 is frozen and thawed", async (tree, helper) => {
  for (const name of [`docker/${ONE}`, `system.slice/docker-${TWO}.scope`, `docker/${FOREIGN}/docker/${ONE}`]) {
    const folder = tree.version1(name);
    assertEquals(await helper.ask("look", folder), "thawed");
    assertEquals([await helper.ask("freeze", folder), read(folder, "freezer.state")], ["frozen", "FROZEN"]);
    Deno.writeTextFileSync(`${folder}/freezer.state`, "FREEZING\n");
    assertEquals(await helper.ask("look", folder), "freezing");
    assertEquals([await helper.ask("thaw", folder), read(folder, "freezer.state")], ["thawed", "THAWED"]);
  }
});

treeTest("a control group of version 2 is frozen once its events say so, and thawed", async (tree, helper) => {
  for (const name of [`docker/${ONE}`, `system.slice/docker-${TWO}.scope`]) {
    const folder = tree.version2(name);
    assertEquals(await helper.ask("look", folder), "thawed");
    assertEquals([await helper.ask("freeze", folder), read(folder, "cgroup.freeze")], ["freezing", "1"]);
    Deno.writeTextFileSync(`${folder}/cgroup.events`, "populated 1\nfrozen 1\n");
    assertEquals(await helper.ask("look", folder), "frozen");
    assertEquals([await helper.ask("thaw", folder), read(folder, "cgroup.freeze")], ["thawed", "0"]);
  }
});

treeTest("nothing is written for other containers, other runtimes, and what is no container", async (tree, helper) => {
  const wrongLabel = "has not the label of this cless, or another runtime than runc and crun";
  const noContainer = "is no control group of a container";
  const cases: [string, (id: string) => string][] = [
    [`docker/${FOREIGN}`, (folder) => `no: ${folder.slice(-64)} ${wrongLabel}`],
    [`docker/${OTHER_RUNTIME}`, (folder) => `no: ${folder.slice(-64)} ${wrongLabel}`],
    [`docker/${UNKNOWN}`, (folder) => `no: ${folder.slice(-64)} ${wrongLabel}`],
    ["system.slice", (folder) => `no: ${folder} ${noContainer}`],
    [`docker/${ONE.slice(1)}`, (folder) => `no: ${folder} ${noContainer}`],
    [`docker/${ONE.slice(1)}Z`, (folder) => `no: ${folder} ${noContainer}`],
    [`docker/x/../${ONE}`, (folder) => `no: ${folder} ${noContainer}`],
  ];
  Deno.mkdirSync(`${tree.root}/cgroup/freezer/docker/x`, { recursive: true });
  for (const [name, answer] of cases) {
    const folder = tree.version1(name);
    for (const what of ["freeze", "thaw", "look"] as const) {
      assertEquals(await helper.ask(what, folder), answer(folder));
    }
    assertEquals(read(folder, "freezer.state"), "THAWED");
  }
});

treeTest("a folder outside the control groups is refused", async (tree, helper) => {
  const folder = `${tree.root}/elsewhere/${ONE}`;
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/freezer.state`, "THAWED");
  assertEquals(await helper.ask("freeze", folder), `no: ${folder} is no control group of a container`);
  assertEquals(read(folder, "freezer.state"), "THAWED");
});

treeTest("a group that has gone is told, and one that comes later in its place works", async (tree, helper) => {
  const folder = tree.version1(`docker/${ONE}`);
  assertEquals(await helper.ask("freeze", folder), "frozen");
  await Deno.remove(folder, { recursive: true });
  assertEquals(await helper.ask("thaw", folder), `no: cannot write ${folder}/freezer.state`);
  assertEquals(await helper.ask("look", folder), `no: cannot read ${folder}/freezer.state`);
  helper.forget(folder);
  assertEquals(await helper.ask("look", folder), `no: there is no freezer in ${folder}`);
  tree.version1(`docker/${ONE}`);
  assertEquals(await helper.ask("freeze", folder), "frozen");
});

treeTest("a group that was forgotten gives its place to another", async (tree, helper) => {
  const [one, two] = [tree.version1(`docker/${ONE}`), tree.version1(`docker/${TWO}`)];
  assertEquals(await helper.ask("freeze", one), "frozen");
  helper.forget(one);
  assertEquals([await helper.ask("freeze", two), await helper.ask("thaw", two)], ["frozen", "thawed"]);
  assertEquals([read(one, "freezer.state"), read(two, "freezer.state")], ["FROZEN", "THAWED"]);
  assertEquals(await helper.ask("thaw", one), "thawed");
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
    "no: /sys; id is no control group of a container",
  ]);
});

treeTest("questions at the same time are answered in order", async (tree, helper) => {
  const folders = [tree.version1(`docker/${ONE}`), tree.version1(`docker/${TWO}`)];
  const answers = Array.from(
    { length: 200 },
    (_, at) => helper.ask(at % 3 ? "freeze" : "thaw", folders[at % 2]!),
  );
  assertEquals(await Promise.all(answers), answers.map((_, at) => at % 3 ? "frozen" : "thawed"));
});

treeTest("a helper that has died is replaced by the next question", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  const opened: ReturnType<typeof childHelper>[] = [];
  const open = () => {
    opened.push(tree.open());
    return opened.at(-1)!;
  };
  await using helper = new FreezerHelper(open, PATIENT);
  assertEquals(await helper.ask("freeze", folder), "frozen");
  opened[0]!.kill();
  assertEquals([await helper.ask("thaw", folder), opened.length], ["thawed", 2]);
});

treeTest("a helper that does not answer in time is killed, and the next one answers", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  let opened = 0;
  let killed = 0;
  const open = () => {
    if (opened++ > 0) return tree.open();
    const silent = new TransformStream<Uint8Array<ArrayBuffer>>({}, { highWaterMark: 9 });
    return {
      readable: new ReadableStream<Uint8Array<ArrayBuffer>>({ start: (it) => void (output = it) }),
      writable: silent.writable,
      kill() {
        killed++;
        output.close();
      },
    };
  };
  let output: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  await using helper = new FreezerHelper(open, systemClock);
  assertEquals([await helper.ask("freeze", folder), opened, killed], ["frozen", 2, 1]);
});

treeTest("without a helper there is no answer, and no error", async () => {
  await using helper = new FreezerHelper(() => Promise.reject(new Error("no such file")), systemClock);
  await helper.prepare();
  assertEquals(await helper.ask("look", "/sys"), undefined);
});

treeTest("a helper can be behind a unix socket", async (tree) => {
  const folder = tree.version1(`docker/${ONE}`);
  const path = `${tree.root}/freezer.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const served = (async () => {
    const conn = await listener.accept();
    const child = tree.open();
    await Promise.all([conn.readable.pipeTo(child.writable), child.readable.pipeTo(conn.writable)]);
  })();
  {
    await using helper = new FreezerHelper(() => socketHelper(path), PATIENT);
    assertEquals(await helper.ask("freeze", folder), "frozen");
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
