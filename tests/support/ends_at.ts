// Usage: ends_at.ts STEP [PID [SIGNAL]] -- ARGUMENT…: runs the program, and sends a signal, by default SIGKILL, to a
// process, by default its own, as soon as the program has logged that step of a take-over.
import { main } from "../../src/cli/main.ts";

const [before, args] = [Deno.args.slice(0, Deno.args.indexOf("--")), Deno.args.slice(Deno.args.indexOf("--") + 1)];
const [step, pid = Deno.pid, signal = "SIGKILL"] = before;
const { stderr } = Deno;
const write = stderr.writeSync.bind(stderr);
let isOver = false;
stderr.writeSync = (bytes) => {
  const count = write(bytes);
  if (!isOver && new TextDecoder().decode(bytes).includes(`"step":"${step}"`)) {
    isOver = true;
    Deno.kill(Number(pid), signal as Deno.Signal);
  }
  return count;
};
Deno.exit(await main(args));
