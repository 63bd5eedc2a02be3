import { assertEquals } from "@std/assert";
import { containerUser, mayWrite, needsFiles, overrides } from "../../src/docker/container_user.ts";

const FILES = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n",
  group: "root:x:0:\nnode:x:1001:\nmedia:x:44:other,node\nstaff:x:50:other\n",
};
const NO_FILES = { passwd: "", group: "" };

Deno.test("a user is found by name or number, with the groups that it is in", () => {
  const users: [user: string, uid: number, groups: number[]][] = [
    ["", 0, [0]],
    ["0", 0, [0]],
    ["root", 0, [0]],
    ["node", 1000, [1001, 44]],
    ["1000", 1000, [1001, 44]],
    ["2000", 2000, [0]],
    ["node:staff", 1000, [50]],
    ["1000:44", 1000, [44]],
    ["node:7", 1000, [7]],
  ];
  for (const [user, uid, groups] of users) assertEquals(containerUser(user, FILES), { uid, groups }, user);
});

Deno.test("a name that is not in the files is unknown, and numbers need no files", () => {
  assertEquals([containerUser("nobody", FILES), containerUser("node:none", FILES)], [undefined, undefined]);
  assertEquals(containerUser("node", NO_FILES), undefined);
  assertEquals(containerUser("1000", NO_FILES), { uid: 1000, groups: [0] });
  assertEquals(["", "1000:50", "1000", "node", "node:50"].map(needsFiles), [false, false, true, true, true]);
});

Deno.test("root writes everywhere, unless it has lost the capability for that", () => {
  const root = { uid: 0, groups: [0] };
  assertEquals(overrides(root, { add: [], drop: ["NET_RAW"] }), true);
  assertEquals(overrides(root, { add: [], drop: ["DAC_OVERRIDE"] }), false);
  assertEquals(overrides(root, { add: [], drop: ["ALL"] }), false);
  assertEquals(overrides(root, { add: ["DAC_OVERRIDE"], drop: ["ALL"] }), true);
  assertEquals(overrides({ uid: 1000, groups: [0] }, { add: [], drop: [] }), false);
});

Deno.test("a user may write by the permissions of the owner, of a group, or of all, and only by the first that fits", () => {
  const user = { uid: 1000, groups: [1001, 44] };
  const may = (uid: number, gid: number, mode: number) => mayWrite(user, { uid, gid, mode });
  assertEquals([may(1000, 0, 0o755), may(0, 0, 0o755), may(0, 0, 0o777)], [true, false, true]);
  assertEquals([may(0, 44, 0o775), may(0, 44, 0o755), may(0, 50, 0o775)], [true, false, false]);
  assertEquals([may(1000, 0, 0o077), may(0, 44, 0o707)], [false, false]);
  assertEquals([may(1000, 0, 0o600), may(0, 0, 0o1777)], [false, true]); // without the right to enter
});
