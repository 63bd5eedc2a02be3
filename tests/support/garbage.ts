import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Has what nobody holds collected. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  await new Promise((resolve) => setTimeout(resolve, 0)); // what this turn has looked at is held until its end
  collect();
}
