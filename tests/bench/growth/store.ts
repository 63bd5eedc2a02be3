import type { Store } from "../../../src/control/store.ts";
import { SqliteStore } from "../../../src/sqlite/store.ts";
import { newScene } from "../../control/deploy/deployer_kit.ts";
import type { FakeStore } from "../../support/fake_store.ts";
import { creationOf, revisionOf } from "../../sqlite/kit.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";

const START_BAR_MS = 1000;
const CHANGE_BAR_MS = 10;

/** How many services the store has, with two revisions each. */
const STORED_SERVICES = 10_000;
const CHANGES = 200;

/** How long a store with many services takes. */
interface StoreTimes {
  /** From opening the file until every service can be asked for, ms. */
  readonly startMs: readonly number[];
  /** From a change of traffic being asked for until it is on disk and requests see it, ms. */
  readonly changeMs: readonly number[];
}

/** Opens a store with many services some times, and changes some of them. */
async function storeTimes(folder: string, starts: number): Promise<StoreTimes> {
  await Deno.mkdir(folder);
  fill(folder);
  const startMs: number[] = [];
  const changeMs: number[] = [];
  for (let start = 0; start < starts; start++) {
    const began = performance.now();
    using store = SqliteStore.open(folder);
    const deployer = newScene({ store: store as Store as FakeStore }).deployer;
    await deployer.load();
    startMs.push(performance.now() - began);
    for (let change = 0; change < CHANGES; change++) {
      const name = nameOf((change * 7919) % STORED_SERVICES);
      const [one, two] = [`${name}-00001`, `${name}-00002`];
      const percent = start % 2 === 0 ? 30 : 70;
      const before = performance.now();
      await deployer.setTraffic(name, [{ revision: one, percent }, { revision: two, percent: 100 - percent }], {
        by: "bench",
      });
      changeMs.push(performance.now() - before);
    }
  }
  return { startMs, changeMs };
}

function fill(folder: string): void {
  using store = SqliteStore.open(folder);
  for (let number = 0; number < STORED_SERVICES; number++) {
    const creation = creationOf(nameOf(number), { domains: [`${nameOf(number)}.example.com`] });
    store.change(creation);
    const revision = revisionOf(creation.service.name, 2, { env: { GREETING: "hello", NUMBER: String(number) } });
    store.change({
      ...creation,
      service: { ...creation.service, latestRevision: revision.name, lastNumber: 2, generation: 2 },
      expectedGeneration: 1,
      addRevision: revision,
    });
  }
}

function nameOf(number: number): string {
  return `app-${number}`;
}

/** What {@linkcode storeTimes} tells. */
function storeFindings({ startMs, changeMs }: StoreTimes): Finding[] {
  return [
    {
      what: `${STORED_SERVICES} services: opened and published`,
      value: `${median(startMs).toFixed(0)} ms`,
      spread: spread(startMs, 0),
      bar: `≤ ${START_BAR_MS} ms`,
      met: median(startMs) <= START_BAR_MS,
    },
    {
      what: `${STORED_SERVICES} services: a change of traffic kept and published`,
      value: `${median(changeMs).toFixed(1)} ms`,
      spread: spread(changeMs, 1),
      bar: `≤ ${CHANGE_BAR_MS} ms`,
      met: median(changeMs) <= CHANGE_BAR_MS,
    },
  ];
}

/** A store with many services. */
export async function store({ folder, options }: Bench): Promise<Outcome> {
  return { findings: storeFindings(await storeTimes(`${folder}/store`, options.rounds)) };
}
