// Usage: deno task model [--cases N] [--seed S]
import { parseArgs } from "@std/cli/parse-args";
import { checkPool } from "../support/pool_model.ts";

const given = parseArgs(Deno.args, {
  string: ["cases", "seed"],
  unknown: (flag) => {
    console.error(`deno task model knows no ${flag}; it knows --cases N and --seed S`);
    Deno.exit(2);
  },
});
const number = (flag: string, otherwise: number) => given[flag] === undefined ? otherwise : Number(given[flag]);
const [seed, cases] = [number("seed", Date.now() % 1e9), number("cases", 100_000)];

console.log(`seed ${seed}: ${cases} cases`);
const began = performance.now();
let done = 0;
await checkPool({
  cases,
  seed,
  progress: () => {
    if (++done % 5_000 === 0) console.log(`${done} done, ${Math.round((performance.now() - began) / 1000)} s`);
  },
});
console.log("nothing was wrong");
