// Usage: deno task chaos [--quick] [--seed S] [--only NAME[,NAME]] [--source] [--log FILE]
import { parseArgs } from "node:util";
import { messageOf, OperatorError } from "../../src/base/errors.ts";
import { BenchError } from "../bench/support/errors.ts";
import { chaos, NAMES } from "./run.ts";
import { SWARM } from "./swarm/swarm.ts";

const HELP = `usage: deno task chaos [flags]

Disrupts cless while requests come, and prints what became of them. It runs cless from source, or the executable
that CLESS_BIN names.

  --quick       within four minutes: less often, not as long, and ${SWARM} only if --only names it
  --seed S      for when requests are due, and for everything else that is left to chance
  --only LIST   some of ${NAMES.join(",")}
  --source      from source, whatever CLESS_BIN names
  --log FILE    what cless logs
  --help`;

function refuse(reason: string): never {
  console.error(`chaos: ${reason}`);
  Deno.exit(2);
}

function parse() {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const options = { quick: flag, source: flag, help: flag, seed: text, only: text, log: text };
    return parseArgs({ args: Deno.args, options }).values;
  } catch (error) {
    refuse(messageOf(error));
  }
}

const given = parse();
if (given.help) {
  console.log(HELP);
  Deno.exit(0);
}
const usual = given.quick ? NAMES.filter((name) => name !== SWARM) : NAMES;
const only = given.only === undefined ? usual : given.only.split(",").map((name) => name.trim());
const unknown = only.find((name) => !NAMES.includes(name));
if (unknown !== undefined) refuse(`--only: "${unknown}" is not allowed: expected some of ${NAMES.join(",")}`);
const seed = given.seed === undefined ? Date.now() % 1e9 : Number(given.seed);
if (!Number.isSafeInteger(seed)) refuse(`--seed: "${given.seed}" is not allowed: expected a whole number`);
const note = (line: string) => console.error(`chaos: ${line}`);

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    if (interrupt.signal.aborted) Deno.exit(130);
    note("ending what was started; once more to leave it");
    interrupt.abort(new BenchError("interrupted"));
  });
}
note(`seed ${seed}`);
try {
  const executable = given.source ? undefined : Deno.env.get("CLESS_BIN");
  const options = { only, quick: given.quick ?? false, seed, executable, log: given.log, note };
  Deno.exit(await chaos(options, interrupt.signal) ? 0 : 1);
} catch (error) {
  if (interrupt.signal.aborted) Deno.exit(130);
  const expected = [BenchError, OperatorError].some((type) => error instanceof type);
  note(`${expected ? "" : "this should not have happened: "}${expected ? messageOf(error) : (error as Error).stack}`);
  Deno.exit(1);
}
