import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { HostPaths, sharedVolume } from "../../src/deploy/volumes.ts";
import { noRead, noWrite } from "../support/permissions.ts";

/** A machine with these folders; one that is a link leads elsewhere. */
function machine(folders: Record<string, string>) {
  return (path: string): Promise<string> => {
    const real = folders[path];
    return real === undefined
      ? Promise.reject(new Deno.errors.NotFound("No such file (os error 2)"))
      : Promise.resolve(real);
  };
}

const FOLDERS = {
  "/": "/",
  "/srv": "/srv",
  "/srv/data": "/srv/data",
  "/srv/data/link": "/etc",
  "/srv/data/link/ssh": "/etc/ssh",
  "/srv/data/inner": "/srv/data/other",
  "/mnt": "/big/disk",
  "/mnt/data": "/big/disk/data",
};

Deno.test("a folder below an allowed one may be used if it exists", async () => {
  const paths = new HostPaths(["/srv/data/", "/mnt"], machine(FOLDERS));
  for (const path of ["/srv/data", "/mnt/data", "/mnt"]) assertEquals(await paths.problem(path), undefined, path);
  for (const path of ["/srv/data/new", "/srv/data/new/deep/er", "/mnt/new"]) {
    assertEquals(await paths.problem(path), "is not there; make it first", path);
  }
});

Deno.test("no other folder may be used", async () => {
  const paths = new HostPaths(["/srv/data"], machine(FOLDERS));
  for (const path of ["/", "/srv", "/srv/database", "/etc", "/mnt/data"]) {
    assertEquals(await paths.problem(path), "is not in one of the folders of --allow-host-path", path);
  }
  assertStringIncludes((await new HostPaths([], machine(FOLDERS)).problem("/srv"))!, "none may be used");
  assertEquals(await new HostPaths(["/"], machine(FOLDERS)).problem("/srv/data"), undefined);
  assertEquals(await new HostPaths(["/"], machine(FOLDERS)).problem("/"), undefined);
});

Deno.test("a path must not contain a symbolic link, not even one to an allowed folder", async () => {
  const paths = new HostPaths(["/srv/data", "/srv/none"], machine(FOLDERS));
  for (const path of ["link", "link/ssh", "link/new", "inner", "inner/new"]) {
    const problem = await paths.problem(`/srv/data/${path}`);
    assertEquals(problem, "leads over a symbolic link, which is not allowed", path);
  }
  assertEquals(await paths.problem("/srv/none/a"), "cannot be used: No such file");
});

Deno.test("one allowed folder above the path is enough", async () => {
  for (const allowed of [["/srv/data", "/srv/data/link"], ["/srv/data/link", "/srv/data"]]) {
    assertEquals(await new HostPaths(allowed, machine(FOLDERS)).problem("/srv/data/link/ssh"), undefined);
  }
});

Deno.test({
  name: "symbolic links of a real file system are detected",
  ignore: noRead || noWrite,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "host-paths-" });
    try {
      await Deno.mkdir(`${folder}/allowed/data`, { recursive: true });
      await Deno.symlink("/etc", `${folder}/allowed/link`);
      await Deno.writeTextFile(`${folder}/allowed/file`, "");
      const paths = new HostPaths([`${folder}/allowed`], Deno.realPath);
      assertEquals(await paths.problem(`${folder}/allowed/data`), undefined);
      assertEquals(await paths.problem(`${folder}/allowed/data/new`), "is not there; make it first");
      for (const path of ["link", "link/new", "link/passwd"]) {
        assertStringIncludes((await paths.problem(`${folder}/allowed/${path}`))!, "symbolic link");
      }
      assert((await paths.problem(`${folder}/allowed/file/below`))?.startsWith("cannot be used: "));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function volumes(...sources: string[]) {
  return sources.map((source) => ({ source, path: "/data", readOnly: true }));
}

Deno.test("a volume is shared if the names are the same, and a folder also if one lies in the other", () => {
  const shared: [a: string[], b: string[], source: string | undefined][] = [
    [["data"], ["data"], "data"],
    [["data"], ["data2"], undefined],
    [[], ["data"], undefined],
    [["a", "b", "c"], ["x", "c", "b"], "b"],
    [["/srv/a"], ["/srv/a"], "/srv/a"],
    [["/srv/a"], ["/srv/a/b/c"], "/srv/a"],
    [["/srv/a/b/c"], ["/srv/a"], "/srv/a/b/c"],
    [["/srv/a"], ["/srv/ab"], undefined],
    [["/srv/a"], ["/srv/b"], undefined],
    [["/"], ["/srv"], "/"],
    [["/srv"], ["/"], "/srv"],
    [["srv"], ["/srv"], undefined],
    [["/"], ["data"], undefined],
  ];
  for (const [a, b, source] of shared) {
    assertEquals(sharedVolume(volumes(...a), volumes(...b)), source, `${a} and ${b}`);
    assertEquals(sharedVolume(volumes(...b), volumes(...a)) === undefined, source === undefined);
  }
});
