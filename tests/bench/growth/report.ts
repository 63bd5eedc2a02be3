import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import type { DeployTimes } from "./deploys.ts";
import { PAGE, type PageTimes } from "./listing.ts";
import { IDLE_MS, type Side, type Start } from "./pair.ts";
import type { RequestCosts } from "./requests.ts";

/** What many services may cost beside one. */
const BARS = {
  /** CPU per request, many ÷ one. */
  request: 1.05,
  /** In memory for each service, KB. */
  serviceKb: 4,
  startMs: 1000,
  /** Time of what operators do, many ÷ one: what one deploy or listing differs from the next by is more than a tenth. */
  asAtOne: 1.25,
};

/** Everything that was measured. */
export interface Growth {
  /** How many services there are beside one. */
  readonly count: number;
  /** One of each round. */
  readonly starts: Readonly<Record<Side, Start>>[];
  readonly requests: RequestCosts;
  /** In memory after the load, MB. */
  readonly loadedMb: Readonly<Record<Side, number>>;
  /** With nothing but what cless does. */
  readonly deploys: DeployTimes;
  /** With the start of a container. */
  readonly deploysWithStart: DeployTimes;
  readonly pages: PageTimes;
}

/** What the measurements tell. */
export function growthFindings(growth: Growth): Finding[] {
  const { count, deploys, deploysWithStart, loadedMb, pages, requests, starts } = growth;
  const many = `${count} services`;
  const costs = requests.many.map((micros, round) => micros / requests.one[round]!);
  const kbs = starts.map((start) => (start.many.idleMb - start.one.idleMb) * 1024 / (count - 1));
  const loadedKb = (loadedMb.many - loadedMb.one) * 1024 / (count - 1);
  const all = (side: Side, field: keyof Start) => starts.map((start) => start[side][field]);
  return [
    {
      what: `${many} ÷ 1: CPU per warm request`,
      value: `${median(costs).toFixed(3)} (${median(requests.many).toFixed(1)} µs ÷ ${
        median(requests.one).toFixed(1)
      } µs)`,
      spread: spread(costs, 3),
      bar: `≤ ${BARS.request}`,
      met: median(costs) <= BARS.request,
    },
    {
      what: `${many}: memory for each, ${IDLE_MS / 1000} s after the start`,
      value: `${median(kbs).toFixed(2)} KB`,
      spread: spread(kbs, 2),
      bar: `≤ ${BARS.serviceKb} KB`,
      met: median(kbs) <= BARS.serviceKb,
    },
    valueOf(`${many}: memory then`, all("many", "idleMb"), "MB", 1),
    valueOf("1 service: memory then", all("one", "idleMb"), "MB", 1),
    {
      what: `${many} and 1: memory after the load`,
      value: `${loadedMb.many.toFixed(1)} MB, ${loadedMb.one.toFixed(1)} MB: ${loadedKb.toFixed(2)} KB each`,
    },
    valueOf(`${many}: CPU while idle, each second`, all("many", "idleMicros").map(toMs), "ms", 1),
    valueOf("1 service: CPU while idle, each second", all("one", "idleMicros").map(toMs), "ms", 1),
    {
      ...valueOf(`${many}: start to /readyz`, all("many", "startMs"), "ms", 0),
      bar: `≤ ${BARS.startMs} ms`,
      met: median(all("many", "startMs")) <= BARS.startMs,
    },
    valueOf("1 service: start to /readyz", all("one", "startMs"), "ms", 0),
    timesOf(`${many} ÷ 1: a deploy that starts no container`, deploys.many, deploys.one),
    timesOf(`${many} ÷ 1: a deploy`, deploysWithStart.many, deploysWithStart.one),
    timesOf(`${many} ÷ ${PAGE}: the first page of ${PAGE}`, pages.first, pages.only),
    timesOf(`${many} ÷ ${PAGE}: the last page of ${PAGE}`, pages.last, pages.only),
  ];
}

function valueOf(what: string, values: readonly number[], unit: string, digits: number): Finding {
  return { what, value: `${median(values).toFixed(digits)} ${unit}`, spread: spread(values, digits) };
}

function timesOf(what: string, times: readonly number[], base: readonly number[]): Finding {
  const ratio = median(times) / median(base);
  return {
    what,
    value: `${ratio.toFixed(2)} (${median(times).toFixed(1)} ms ÷ ${median(base).toFixed(1)} ms)`,
    spread: `${spread(times, 1)} ms ÷ ${spread(base, 1)} ms`,
    bar: `≤ ${BARS.asAtOne}`,
    met: ratio <= BARS.asAtOne,
  };
}

function toMs(micros: number): number {
  return micros / 1000;
}
