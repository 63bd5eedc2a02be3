// Usage: deno task fuzz [--cases N] [--seed S] [--first N]
import { parseArgs } from "@std/cli/parse-args";
import { fuzz } from "./fuzzer.ts";

const given = parseArgs(Deno.args, {
  string: ["cases", "seed", "first"],
  unknown: (flag) => {
    console.error(`deno task fuzz knows no ${flag}; it knows --cases N, --seed S and --first N`);
    Deno.exit(2);
  },
});
const number = (flag: string, otherwise: number) => given[flag] === undefined ? otherwise : Number(given[flag]);
const [seed, cases, first] = [number("seed", Date.now() % 1e9), number("cases", 1e6), number("first", 0)];

console.log(`seed ${seed}: ${cases} cases`);
let shown = 0;
const began = performance.now();
const { failures, counts, connections } = await fuzz({
  seed,
  cases,
  first,
  progress: (done) => {
    if (done < shown + 50_000) return;
    shown = done;
    console.log(`${done} done, ${Math.round((performance.now() - began) / 1000)} s`);
  },
});
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(`${JSON.stringify(counts)}, over ${connections} connections, in ${seconds} s`);
for (const failure of failures) console.error(failure);
if (failures.length > 0) Deno.exit(1);
console.log("nothing was wrong");
