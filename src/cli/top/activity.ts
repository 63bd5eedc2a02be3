import type { ActivityJson } from "../../admin/operations/activity.ts";

type State = ActivityJson["state"];

/** What needs attention comes first, then what is awake. */
const STATE_ORDER: readonly State[] = ["failing", "deploying", "starting", "ready", "paused", "hibernated", "asleep"];

/** What services can be sorted by: numbers of which the smallest comes first. Equal ones are sorted by name. */
const ORDERS = {
  state: (service) => [STATE_ORDER.indexOf(service.state), -service.requestsPerSecond],
  name: () => [],
  requests: ({ requestsPerSecond }) => [-requestsPerSecond],
  errors: ({ errorsPerSecond }) => [-errorsPerSecond],
  p99: ({ p99Ms = -1 }) => [-p99Ms],
  "in-flight": ({ inFlight, waiting }) => [-inFlight - waiting],
  memory: ({ memoryBytes }) => [-memoryBytes],
  swap: ({ swapBytes }) => [-swapBytes],
  wakes: (service) => [-wakesOf(service)],
} satisfies Record<string, (service: ActivityJson) => readonly number[]>;

/** What services can be sorted by. */
export type Order = keyof typeof ORDERS;

/** All words for it. */
export const ORDER_NAMES = Object.keys(ORDERS) as Order[];

/** Reads what to sort by. @throws {RangeError} For an unknown word. */
export function parseOrder(text: string): Order {
  if (!Object.hasOwn(ORDERS, text)) throw new RangeError(`expected one of ${ORDER_NAMES.join(", ")}`);
  return text as Order;
}

/** Which services are shown, and in which order. */
export interface Selection {
  readonly order: Order;
  readonly isReversed: boolean;
  /** Words, of which each has to be in the name or the state. */
  readonly filter: string;
}

/** The services that are shown, in their order. */
export function selected<T extends ActivityJson>(
  services: readonly T[],
  { filter, isReversed, order }: Selection,
): T[] {
  const words = filter.toLowerCase().split(/\s+/);
  const shown = services.filter(({ service, state }) =>
    words.every((word) => service.includes(word) || state.includes(word))
  );
  const ranks = new Map(shown.map((service) => [service, ORDERS[order](service)]));
  shown.sort((a, b) => compared(ranks.get(a)!, ranks.get(b)!) || (a.service < b.service ? -1 : 1));
  return isReversed ? shown.reverse() : shown;
}

function compared(a: readonly number[], b: readonly number[]): number {
  return a.map((value, at) => value - b[at]!).find((difference) => difference !== 0) ?? 0;
}

/** How often a service woke within the last hour, from any tier. */
export function wakesOf({ wakes: { cold, hibernated, resume } }: ActivityJson): number {
  return cold + hibernated + resume;
}
