import { newAdmin, OWNER } from "../admin/kit.ts";
import { type Run, runMain, runWithInput } from "./run_main.ts";

/** The real admin API on a fake engine, and verbs that ask it. */
export interface AdminServer extends AsyncDisposable {
  /** Runs a verb. */
  run(...args: string[]): Promise<Run>;
  /** Runs a verb as a process of its own with this standard input. */
  runWith(input: string, ...args: string[]): Promise<Run>;
}

/** Starts one without services. */
export async function adminServer(): Promise<AdminServer> {
  const { handle } = await newAdmin();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr }) => handle(request, remoteAddr.hostname),
  );
  const flags = ["--server", `http://127.0.0.1:${server.addr.port}`, "--token", OWNER];
  return {
    run: (...args) => runMain(...args, ...flags),
    runWith: (input, ...args) => runWithInput(input, ...args, ...flags),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
