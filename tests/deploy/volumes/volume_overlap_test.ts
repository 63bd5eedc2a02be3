import { assertEquals } from "@std/assert";
import { sharedVolume } from "../../../src/deploy/volumes/volume_overlap.ts";

function volumes(...sources: string[]) {
  return sources.map((source) => ({ source, path: "/data", readOnly: true }));
}

Deno.test("a volume is shared by its name, and a folder also where one is in the other", () => {
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
