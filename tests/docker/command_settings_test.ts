import { assertEquals } from "@std/assert";
import { addsToContainers } from "../../src/docker/command_settings.ts";
import { noRead, noWrite } from "../support/permissions.ts";

Deno.test({
  name: "the docker command adds to containers where its settings have proxies, and perhaps where they cannot be read",
  ignore: noRead || noWrite,
}, async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/config.json`;
  try {
    assertEquals(await addsToContainers(path), false);
    const settings: [text: string, adds: boolean][] = [
      ['{"auths":{}}', false],
      ['{"proxies":{"default":{"httpProxy":"http://proxy:3128"}}}', true],
      ['{"Proxies":{"default":{"httpProxy":"http://proxy:3128"}}}', true], // to the command it is the same
      ['{"auths":{"proxies":{}},"httpProxies":{}}', false],
      ["no JSON", true],
      ["null", true],
    ];
    for (const [text, adds] of settings) {
      await Deno.writeTextFile(path, text);
      assertEquals(await addsToContainers(path), adds, text);
    }
    assertEquals(await addsToContainers(folder), true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
