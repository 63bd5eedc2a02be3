import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { type DataDir, isDataDirInUse, openDataDir, readCall } from "../../src/control/data_dir.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { noRead, noRun, noWrite } from "../support/permissions.ts";
import { Secrets } from "../../src/control/secrets/secrets.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { migrate } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { keyOf, valueOf } from "./secrets/secrets_kit.ts";

/** A test with a folder of its own, which is removed afterwards. */
function folderTest(name: string, fn: (folder: string) => Promise<void>, ignore = noRead || noWrite): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "data-dir-" });
      await fn(folder).finally(() => Deno.remove(folder, { recursive: true }));
    },
  });
}

/** Opens a folder and lets it go. */
async function opened(path: string): Promise<Omit<DataDir, typeof Symbol.dispose>> {
  using dir = await openDataDir(path);
  dir.settle();
  return dir;
}

/** The message with which a folder is refused. */
async function refusal(path: string): Promise<string> {
  return (await assertRejects(() => openDataDir(path), OperatorError)).message;
}

async function modeOf(path: string): Promise<string> {
  return ((await Deno.stat(path)).mode! & 0o777).toString(8);
}

folderTest("a missing folder is made, readable for nobody else", async (folder) => {
  const path = `${folder}/deep/er`;
  const { owner, token, tokenFile } = await opened(path);
  assertMatch(owner, /^[0-9a-f]{8}$/);
  assertMatch(token, /^[0-9a-f]{64}$/);
  assertEquals(tokenFile, `${path}/admin-token`);
  assertEquals(await Deno.readTextFile(tokenFile), `${token}\n`);
  assertEquals(await Deno.readTextFile(`${path}/owner`), `${owner}\n`);
  assertEquals(await modeOf(path), "700");
  for (const name of ["admin-token", "owner", "lock"]) assertEquals(await modeOf(`${path}/${name}`), "600", name);
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort();
  assertEquals(names, ["admin-token", "lock", "owner"]);
});

folderTest("clients find where the admin API listens, until the folder is given up", async (folder) => {
  const file = `${folder}/admin-address`;
  {
    using dir = await openDataDir(folder);
    dir.settle();
    dir.announceAdmin("127.0.0.1:1323");
    dir.announceAdmin("[::]:4000");
    assertEquals([await Deno.readTextFile(file), await modeOf(file)], ["[::]:4000\n", "644"]);
  }
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort(), [
    "admin-token",
    "lock",
    "owner",
  ]);
});

folderTest("a folder that is opened again has the same owner and token", async (folder) => {
  const first = await opened(folder);
  const { owner, token } = await opened(folder);
  assertEquals([owner, token], [first.owner, first.token]);
});

folderTest("a folder is new until it is settled, whenever a process ends before", async (folder) => {
  {
    using first = await openDataDir(folder);
    assertEquals(first.isNew, true);
  }
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort(), ["admin-token", "lock"]);
  {
    using second = await openDataDir(folder);
    assertEquals(second.isNew, true);
    second.settle();
  }
  using third = await openDataDir(folder);
  assertEquals([third.isNew, `${third.owner}\n`], [false, await Deno.readTextFile(`${folder}/owner`)]);
  third.settle();
});

folderTest("two folders have different owners and tokens", async (folder) => {
  const [a, b] = [await opened(`${folder}/a`), await opened(`${folder}/b`)];
  assertNotEquals(a.owner, b.owner);
  assertNotEquals(a.token, b.token);
});

folderTest("the path is absolute, whatever name the folder was opened by", async (folder) => {
  const real = await Deno.realPath(folder);
  await Deno.symlink(".", `${folder}/link`);
  assertEquals((await opened(`${folder}/link/./`)).path, real);
  const before = Deno.cwd();
  Deno.chdir(folder);
  try {
    assertEquals((await opened("here")).path, `${real}/here`);
  } finally {
    Deno.chdir(before);
  }
});

folderTest("a token file that somebody has put there is used", async (folder) => {
  const token = "Abc-_".repeat(7);
  await Deno.writeTextFile(`${folder}/admin-token`, ` ${token}\n\n`);
  assertEquals((await opened(folder)).token, token);
});

folderTest("a token is replaced as a whole, readable for nobody else, and the old one is gone", async (folder) => {
  using dir = await openDataDir(folder);
  dir.settle();
  const tokens = [dir.token, dir.rotateToken(), dir.rotateToken(), dir.rotateToken()];
  assertEquals(new Set(tokens).size, 4);
  assertEquals(dir.token, tokens.at(-1));
  assertMatch(dir.token, /^[0-9a-f]{64}$/);
  assertEquals(await Deno.readTextFile(dir.tokenFile), `${dir.token}\n`);
  assertEquals(await modeOf(dir.tokenFile), "600");
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  assertEquals(names, ["admin-token", "lock", "owner"]);
});

folderTest("a token that cannot be written stays as it is", async (folder) => {
  using dir = await openDataDir(folder);
  const { token, tokenFile } = dir;
  await Deno.mkdir(`${tokenFile}.new/full`, { recursive: true });
  const { message } = assertThrows(() => dir.rotateToken(), OperatorError);
  assertMatch(message, /^cannot write \S+admin-token: [^\n]+; the token is as before$/);
  assertEquals([dir.token, await Deno.readTextFile(tokenFile)], [token, `${token}\n`]);
  await Deno.remove(`${tokenFile}.new`, { recursive: true });
  assertNotEquals(dir.rotateToken(), token);
});

folderTest("a folder that is open is refused with the id of the process that has it", async (folder) => {
  {
    using _open = await openDataDir(folder);
    const by = `by another cless (pid ${Deno.pid})`;
    const message = `the data-dir ${folder} is in use ${by}; stop it, or name another one with --data-dir`;
    assertEquals(await refusal(folder), message);
    assertEquals(await isDataDirInUse(folder), true);
  }
  assertEquals(await isDataDirInUse(folder), false);
  await opened(folder);
});

folderTest("a refusal leaves the folder locked for the process that has it", async (folder) => {
  using _open = await openDataDir(folder);
  await refusal(folder);
  assertEquals(await Deno.readTextFile(`${folder}/lock`), `${Deno.pid}\n`);
  await refusal(folder);
});

folderTest("a folder that was refused as damaged is unlocked again", async (folder) => {
  await Deno.writeTextFile(`${folder}/owner`, "x");
  await refusal(folder);
  assertEquals(await isDataDirInUse(folder), false);
});

folderTest("a damaged owner or token is never replaced silently", async (folder) => {
  for (
    const [name, content] of [["owner", "1234567"], ["owner", ""], ["admin-token", "short"], ["admin-token", "\0"]]
  ) {
    const path = `${folder}/${name}`;
    await opened(folder);
    const good = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, content!);
    assertEquals(await refusal(folder), `${path} is damaged; restore it, or remove it to have a new one made`);
    assertEquals(await Deno.readTextFile(path), content);
    await Deno.writeTextFile(path, good);
  }
  const before = await opened(folder);
  await Deno.remove(`${folder}/admin-token`);
  const after = await opened(folder);
  assertEquals(after.owner, before.owner);
  assertNotEquals(after.token, before.token);
});

folderTest("files that an operator has put there become unreadable for others too", async (folder) => {
  for (const [name, text] of [["owner", "0123abcd"], ["admin-token", "a".repeat(64)]] as const) {
    await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o644 });
  }
  const { owner, token } = await opened(folder);
  assertEquals([owner, token], ["0123abcd", "a".repeat(64)]);
  for (const name of ["admin-token", "owner"]) assertEquals(await modeOf(`${folder}/${name}`), "600", name);
});

folderTest("a half-written file of a crash is ignored, and so is its mode", async (folder) => {
  await Deno.writeTextFile(`${folder}/admin-token.new`, "1234", { mode: 0o644 });
  await Deno.writeTextFile(`${folder}/owner.new`, "");
  const { owner, token } = await opened(folder);
  assertEquals([owner.length, token.length], [8, 64]);
  assertEquals(await modeOf(`${folder}/admin-token`), "600");
});

folderTest("a path that cannot be a folder is refused with the reason and what to do", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "");
  const remedy = "name another one with --data-dir";
  for (const path of [`${folder}/file`, `${folder}/file/below`]) {
    assertEquals(await refusal(path), `cannot use the data-dir ${path}: it is a file; ${remedy}`);
  }
  await Deno.mkdir(`${folder}/dir/owner`, { recursive: true });
  assertMatch(await refusal(`${folder}/dir`), /^cannot use the data-dir \S+: Is a directory; name another/);
});

folderTest("a folder that cannot be written is refused, even for root", async () => {
  for (const path of ["/proc", "/proc/cless"]) {
    const [, reason = ""] = (await refusal(path)).split(`cannot use the data-dir ${path}: `);
    assertMatch(reason, /^[^\n]+; name another one with --data-dir$/);
  }
}, noRead || noWrite || Deno.build.os !== "linux");

// Root may write everywhere.
if (!await mayBeRoot()) {
  folderTest("a read-only folder is refused", async (folder) => {
    await Deno.chmod(folder, 0o500);
    const message = `cannot use the data-dir ${folder}: permission denied; name another one with --data-dir`;
    assertEquals(await refusal(folder), message);
  });
}

folderTest("a folder that does not exist is neither in use nor free", async (folder) => {
  assertEquals(await isDataDirInUse(`${folder}/none`), undefined);
  assertEquals(await isDataDirInUse(folder), undefined);
});

folderTest("the folder of a killed process is unlocked", async (folder) => {
  await using holder = await Holder.start(folder);
  const message = await refusal(folder);
  assert(message.includes(`(pid ${holder.pid})`), message);
  assertEquals(await isDataDirInUse(folder), true);
  await holder.kill();
  assertEquals(await isDataDirInUse(folder), false);
  await opened(folder);
}, noRun || noRead || noWrite);

/** A process that has a data-dir open until it is killed. */
class Holder implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  static async start(folder: string): Promise<Holder> {
    const module = new URL("../../src/control/data_dir.ts", import.meta.url).href;
    const code = `import { openDataDir } from "${module}";
      const dir = await openDataDir(${JSON.stringify(folder)});
      console.log("open", dir.owner);
      await new Promise(() => setInterval(() => {}, 1000));`;
    const args = ["eval", "--quiet", code];
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    assertMatch(new TextDecoder().decode(value), /^open [0-9a-f]{8}\n$/);
    await reader.cancel();
    return new Holder(child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill().catch(() => {}); // it has ended already
  }
}

async function mayBeRoot(): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "uid" });
  return state !== "granted" || Deno.uid() === 0;
}

/** A test with two folders of its own. */
function foldersTest(name: string, fn: (folder: string, other: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "backup-" });
      try {
        await Deno.mkdir(`${folder}/one`);
        await Deno.mkdir(`${folder}/two`);
        await fn(`${folder}/one`, `${folder}/two`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

foldersTest(
  "the files of a backup make an empty folder a data-dir, while the first one is in use",
  async (folder, other) => {
    using dir = await openDataDir(folder);
    dir.settle();
    using store = SqliteStore.open(folder);
    const secrets = await Secrets.open(store, { folder });
    await secrets.set("key", "hunter2");
    const before = await namesIn(folder);
    const [files] = await Promise.all([dir.backup(store), dir.backup(store)]);
    assertEquals(files.map(({ name }) => name), ["cless.sqlite", "owner", "admin-token", "secret-key"]);
    assertEquals(await namesIn(folder), before);
    for (const { name, bytes } of files) await Deno.writeFile(`${other}/${name}`, bytes);
    using restored = await openDataDir(other);
    assertEquals([restored.owner, restored.token], [dir.owner, dir.token]);
    using copy = SqliteStore.open(other);
    assertEquals(await valueOf(await Secrets.open(copy, { folder: other }), "key"), "hunter2");
    dir.rotateToken();
    const later = (await dir.backup(store)).find(({ name }) => name === "admin-token")!;
    assertEquals(new TextDecoder().decode(later.bytes), `${dir.token}\n`);
  },
);

foldersTest("a backup has the identity by which the machines of an owner know each other", async (folder) => {
  using dir = await openDataDir(folder);
  dir.settle();
  using store = SqliteStore.open(folder);
  await Deno.writeTextFile(`${folder}/peer-identity`, "{}");
  assertEquals((await dir.backup(store)).map(({ name }) => name), [
    ...["cless.sqlite", "owner", "admin-token"],
    "peer-identity",
  ]);
});

foldersTest(
  "a new folder takes the id and the token of another machine's, and one of another id stays",
  async (folder) => {
    const shared = { owner: "0a1b2c3d", token: "t".repeat(64), tokenMadeAt: 1_700_000_000_000 };
    (await openDataDir(folder))[Symbol.dispose](); // a start that was broken off has left a token
    {
      using dir = await openDataDir(folder, true, shared);
      assertEquals([dir.owner, dir.token, dir.isNew], [shared.owner, shared.token, true]);
      assertEquals(dir.tokenMadeAt, shared.tokenMadeAt);
      dir.settle();
    }
    {
      using dir = await openDataDir(folder, true, { ...shared, token: "u".repeat(64) });
      assertEquals([dir.owner, dir.token, dir.isNew], [shared.owner, shared.token, false]);
    }
    await assertRejects(
      () => openDataDir(folder, true, { ...shared, owner: "ffffffff" }),
      OperatorError,
      "belongs to another cless, with the id 0a1b2c3d",
    );
    using dir = await openDataDir(folder);
    assertEquals([dir.owner, dir.token, dir.tokenMadeAt], [shared.owner, shared.token, shared.tokenMadeAt]);
  },
);

foldersTest("a token that another machine has made keeps its age, also after a restart", async (folder) => {
  const before = Date.now();
  const token = "u".repeat(64);
  {
    using dir = await openDataDir(folder);
    assert(Math.abs(dir.tokenMadeAt - before) < 60_000);
    dir.takeToken(token, 1_800_000_000_000);
    assertEquals([dir.token, dir.tokenMadeAt], [token, 1_800_000_000_000]);
    dir.settle();
  }
  using dir = await openDataDir(folder);
  assertEquals([dir.token, dir.tokenMadeAt], [token, 1_800_000_000_000]);
  assertEquals((await Deno.stat(`${folder}/admin-token`)).mode! & 0o777, 0o600);
});

foldersTest(
  "without a key file the backup has none, and leftovers of a crash are not in the way",
  async (folder) => {
    using dir = await openDataDir(folder);
    dir.settle();
    using store = SqliteStore.open(folder);
    await Secrets.open(store, { folder, text: keyOf(1) });
    await Deno.writeTextFile(`${folder}/cless.sqlite.backup`, "half");
    const files = await dir.backup(store);
    assertEquals(files.map(({ name }) => name), ["cless.sqlite", "owner", "admin-token"]);
    assert(files[0]!.bytes.length > 1000);
    assert(!(await namesIn(folder)).includes("cless.sqlite.backup"));
  },
);

foldersTest("a backup that cannot be complete fails", async (folder) => {
  using dir = await openDataDir(folder);
  dir.settle();
  using store = SqliteStore.open(folder);
  await Deno.remove(`${folder}/owner`);
  const { message } = await assertRejects(() => dir.backup(store), OperatorError);
  assertEquals(message, `cannot read ${folder}/owner: No such file or directory`);
  await Deno.mkdir(`${folder}/cless.sqlite.backup`);
  await Deno.mkdir(`${folder}/cless.sqlite.backup/inner`);
  await assertRejects(() => dir.backup(store), OperatorError);
});

foldersTest("a backup of a damaged database is refused, and leaves no file", async (folder) => {
  using dir = await openDataDir(folder);
  const path = `${folder}/cless.sqlite`;
  const connection = Connection.open(path, 20);
  migrate(connection);
  using store = new SqliteStore(connection);
  connection.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(-4096, Deno.SeekMode.End);
    file.writeSync(new Uint8Array(4096).fill(0x55)); // as a failing disk could
  }
  connection.db.exec("PRAGMA shrink_memory"); // SQLite may have the page in memory
  const before = await namesIn(folder);
  const { message } = await assertRejects(() => dir.backup(store), OperatorError);
  assert(message.startsWith(`${path} is damaged; `), message);
  assertEquals(await namesIn(folder), before);
});

folderTest(
  "a successor opens a folder in use without its lock, and locks it once the process before lets go",
  async (folder) => {
    using old = await openDataDir(folder);
    old.settle();
    using next = await openDataDir(folder, false);
    assertEquals(next.owner, old.owner);
    await assertRejects(() => next.lock(), OperatorError, "in use");
    old.unlock();
    await next.lock();
    assertEquals(await Deno.readTextFile(`${folder}/lock`), `${Deno.pid}\n`);
    await assertRejects(() => old.lock(), OperatorError, "in use");
  },
);

folderTest(
  "how a process was started is kept for this user only, and goes with the process or stays for its successor",
  async (folder) => {
    const call = { pid: 7, version: "1", uid: 0, args: ["--domain", "a.org"], env: { CLESS_X: "y" }, folder: "/" };
    const isThere = async () => (await namesIn(folder)).includes("serve.json");
    {
      using dir = await openDataDir(folder);
      dir.keepCall(call);
      assertEquals([await readCall(folder), await modeOf(`${folder}/serve.json`)], [call, "600"]);
    }
    assertEquals(await isThere(), false);
    await assertRejects(() => readCall(folder), OperatorError, "no cless is running there");
    {
      using dir = await openDataDir(folder);
      dir.keepCall(call);
      dir.leave();
    }
    assertEquals(await isThere(), true);
  },
);
