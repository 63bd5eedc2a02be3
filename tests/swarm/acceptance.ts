/** The tests of the acceptance suites that cannot pass with Swarm, by their names, each with the reason. */
export const EXCEPTIONS: Readonly<Record<string, string>> = {
  "a cold service answers and says that it was cold": "it counts calls of `docker run`, and Swarm makes the containers",
  "a dead container's address is not handed to another service; containers cannot reach each other":
    "it asks at the addresses of containers, and instances of a Swarm are reached at ports of their nodes",
};

/** What the suites' output means. */
export interface Judgement {
  readonly passed: number;
  /** What is wrong, one line each. */
  readonly wrong: readonly string[];
}

/**
 * Judges what suites have printed: a line `ok NAME (N ms)` or `FAIL NAME: REASON` for each test, and the counts at the
 * end. An exception has to fail: one that passes, or is no test of any suite, is wrong as well.
 *
 * @param outputs By the suites' names.
 */
export function judge(outputs: Readonly<Record<string, string>>, exceptions = EXCEPTIONS): Judgement {
  const wrong: string[] = [];
  const left = new Set(Object.keys(exceptions));
  let passed = 0;
  for (const [suite, output] of Object.entries(outputs)) {
    const counts = { ok: 0, FAIL: 0 };
    for (const line of output.split("\n")) {
      const [, result, rest] = /^(ok|FAIL) +(.*)$/.exec(line) ?? [];
      if (result === undefined || rest === undefined) continue;
      counts[result as keyof typeof counts]++;
      const name = result === "ok"
        ? rest.replace(/ \(\d+ ms\)$/, "")
        : left.values().find((name) => rest.startsWith(`${name}: `));
      const isException = name !== undefined && left.delete(name);
      if (result === "ok" && !isException) passed++;
      else if (result === "ok") wrong.push(`${suite}: it passes, and is no exception any more: ${name}`);
      else if (!isException) wrong.push(`${suite}: ${rest}`);
    }
    const end = `${counts.ok} passed, ${counts.FAIL} failed`;
    if (counts.ok === 0 || output.trimEnd().split("\n").at(-1) !== end) {
      wrong.push(`${suite}: it did not end with "${end}"`);
    }
  }
  for (const name of left) wrong.push(`no suite has a test of this name: ${name}`);
  return { passed, wrong };
}
