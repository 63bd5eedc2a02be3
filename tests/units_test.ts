import { assertEquals } from "@std/assert";
import { analyze, canAnalyze } from "./support/systemd_analyze.ts";

const UNITS = ["cless.service", "cless-freezer.socket", "cless-freezer@.service"];

/** A test with copies of the units, which start a program that is there. */
function unitsTest(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({ name, ignore: !canAnalyze }, async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const unit of UNITS) {
        const text = await Deno.readTextFile(`docs/${unit}`);
        await Deno.writeTextFile(`${folder}/${unit}`, text.replaceAll("/usr/local/bin/cless", "/bin/true"));
      }
      await fn(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

unitsTest("systemd finds no fault with the units", async (folder) => {
  const { code, err } = await analyze(folder, "verify", "--man=no", ...UNITS.map((unit) => `./${unit}`));
  assertEquals([code, err], [0, ""]);
});

unitsTest("the units expose little of the machine, in systemd's judgement", async (folder) => {
  for (const [unit, tenths] of [["cless.service", 20], ["cless-freezer@.service", 15]] as const) {
    const args = ["--offline=true", "--no-pager", `--threshold=${tenths}`, `./${unit}`];
    const { code, err, out } = await analyze(folder, "security", ...args);
    assertEquals([code, err], [0, ""], out);
  }
});
