import { noNet } from "./permissions.ts";

/** Blocks begin here: below the ports that the system hands out itself. */
const FIRST_PORT = 10_000;
const BLOCKS = 40;
const BLOCK_PORTS = 250;
/** `fetch` refuses these, https://fetch.spec.whatwg.org/#port-blocking. */
const REFUSED_BY_FETCH: readonly number[] = [10_080];

/** The first port of the block of this test file: taken before its tests, for which it would be a leak. */
let block = noNet ? undefined : claimBlock();
let next = 1;

/**
 * The first of some ports in a row of the loopback address where nobody listens. They are below those that the system
 * hands out itself. So no listener of a test or of the program gets one of them by chance: a proxy that is sent to its
 * own port would send a request to itself for ever. None is given twice, neither here nor in a test file that runs at
 * the same time: the first one who asked may not listen yet.
 */
export function freePorts(count: number): number {
  if (block === undefined) throw new Error("ports of this machine need --allow-net");
  for (;;) {
    if (next + count > BLOCK_PORTS) [block, next] = [claimBlock(), 1];
    const first = block + next++;
    const ports = Array.from({ length: count }, (_, at) => first + at);
    if (ports.some((port) => REFUSED_BY_FETCH.includes(port) || !isFree(port))) continue;
    next += count - 1;
    return first;
  }
}

/** The URL of a port of the loopback address where nobody listens. */
export function deafUrl(): string {
  return `http://127.0.0.1:${freePorts(1)}`;
}

/** Takes a block that no other test file has: who has one listens on its first port until the file has ended. */
function claimBlock(): number {
  const begin = Math.floor(Math.random() * BLOCKS);
  for (let at = 0; at < BLOCKS; at++) {
    const first = FIRST_PORT + ((begin + at) % BLOCKS) * BLOCK_PORTS;
    try {
      Deno.listen({ hostname: "127.0.0.1", port: first }).unref();
      return first;
    } catch {
      // Another test file has it.
    }
  }
  throw new Error("every block of ports is in use");
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
