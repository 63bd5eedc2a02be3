import { assertEquals } from "@std/assert";
import { changesContainers } from "../../src/docker/client_config.ts";
import { noRead, noWrite } from "../support/permissions.ts";

Deno.test({
  name: "the command is known to change what it makes by its settings, and where it cannot be told",
  ignore: noRead || noWrite,
}, async () => {
  const home = await Deno.makeTempDir();
  const told = (env: Record<string, string>) => changesContainers((name) => env[name]);
  const write = (text: string) => Deno.writeTextFile(`${home}/.docker/config.json`, text);
  try {
    assertEquals(await told({ HOME: home }), false);
    assertEquals(await told({ HOME: home, DOCKER_CONFIG: "", DOCKER_DEFAULT_PLATFORM: "" }), false);
    assertEquals(await told({}), true);
    assertEquals(await told({ DOCKER_CONFIG: "relative" }), true);
    assertEquals(await told({ HOME: home, DOCKER_DEFAULT_PLATFORM: "linux/arm64" }), true);
    await Deno.mkdir(`${home}/.docker`);
    await write('{"auths":{}}');
    assertEquals(await told({ HOME: home }), false);
    for (const text of ['{"proxies":{"default":{"httpProxy":"http://proxy:3128"}}}', "no JSON", "null"]) {
      await write(text);
      assertEquals(await told({ HOME: home }), true, text);
    }
    assertEquals(await told({ HOME: "/nowhere", DOCKER_CONFIG: `${home}/.docker` }), true);
    assertEquals(await told({ HOME: home, DOCKER_CONFIG: "/nowhere" }), false);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
