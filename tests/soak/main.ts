// Usage: deno task soak [--minutes N] [--services N] [--seed S]
import { parseArgs } from "@std/cli/parse-args";
import { soak } from "./soak.ts";

const given = parseArgs(Deno.args, {
  string: ["minutes", "services", "seed"],
  unknown: (flag) => {
    console.error(`deno task soak knows no ${flag}; it knows --minutes N, --services N and --seed S`);
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
  tell: (line) => console.log(line),
});
Deno.exit(isGood ? 0 : 1);
