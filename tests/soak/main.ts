// Usage: deno task soak [--minutes N] [--services N] [--seed S] [--log FILE]
import { parseArgs } from "@std/cli/parse-args";
import { soak } from "./soak.ts";

const given = parseArgs(Deno.args, {
  string: ["minutes", "services", "seed", "log"],
  unknown: (flag) => {
    console.error(`deno task soak knows no ${flag}; it knows --minutes N, --services N, --seed S and --log FILE`);
    Deno.exit(2);
  },
});
const number = (flag: string, otherwise: number) => given[flag] === undefined ? otherwise : Number(given[flag]);
const seed = number("seed", Date.now() % 1e9);

console.log(`seed ${seed}`);
const isGood = await soak({
  minutes: number("minutes", 20),
  services: number("services", 30),
  seed,
  log: given.log as string | undefined,
  tell: (line) => console.log(line),
});
Deno.exit(isGood ? 0 : 1);
