import { assertEquals } from "@std/assert";
import { notify } from "../../src/base/notify.ts";
import { noNet, noRead, noWrite } from "../support/permissions.ts";

const ignore = noNet || noRead || noWrite;

Deno.test({
  name: "the service manager gets a datagram of assignments, and nothing is left in the folder",
  ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/manager`;
    const manager = Deno.listenDatagram({ transport: "unixpacket", path });
    try {
      await notify(path, folder, { MAINPID: 7, READY: 1 });
      assertEquals(new TextDecoder().decode((await manager.receive())[0]), "MAINPID=7\nREADY=1");
      assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["manager"]);
    } finally {
      manager.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({ name: "without a service manager, or with one that is gone, nothing happens", ignore }, async () => {
  await notify(undefined, "/nowhere", { READY: 1 });
  await notify("/nowhere/manager", "/nowhere", { READY: 1 });
});
