import { assertEquals } from "@std/assert";
import { sizeText } from "../../../src/cli/output/size_text.ts";

Deno.test("a size is written in the unit that suits it", () => {
  const sizes: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1_396_736, "1.3 MiB"],
    [99.9 * 1024 ** 2, "99.9 MiB"],
    [99.96 * 1024 ** 2, "100 MiB"],
    [1023.4 * 1024 ** 2, "1023 MiB"],
    [1023.6 * 1024 ** 2, "1.0 GiB"],
    [2048 * 1024 ** 4, "2048 TiB"],
  ];
  for (const [bytes, text] of sizes) assertEquals(sizeText(Math.round(bytes)), text);
});
