import { table } from "./text.ts";
import {
  amountText,
  type Asked,
  caveatOf,
  flagsText,
  gbHoursText,
  type Outcome,
  type ServiceEstimate,
  stopText,
} from "./what_if_text.ts";

/**
 * The shortest time to stop after of each service with which it would have at most so many cold starts a day, what that
 * saves, and the lines that make it so.
 *
 * @param asked Other settings that are to hold with it.
 * @param failing The services that are failing now.
 */
export function goalText(
  all: readonly ServiceEstimate[],
  maxColdStarts: number,
  asked: Asked,
  failing: ReadonlySet<string>,
): string {
  const caveats = all.map((estimate) => ({ estimate, caveat: goalCaveat(estimate, failing) }));
  const known = caveats.filter(({ caveat }) => caveat === undefined).map(({ estimate }) => {
    return { ...estimate, then: isBetter(estimate, maxColdStarts, asked) ? estimate.then : estimate.now };
  });
  const changed = known.filter(({ now, then }) => then !== now);
  const unknown = caveats.flatMap(({ caveat, estimate }) =>
    caveat === undefined ? [] : [`${estimate.service}: ${caveat}`]
  );
  const commands = changed.map(({ service, then }) =>
    `  cless deploy ${service}${flagsText([...asked, { flag: "stop-after", value: then.stopAfter }])}`
  );
  if (known.length === 0) return unknown.join("\n");
  return [
    goalTable(known),
    ...(unknown.length > 0 ? [unknown.join("\n")] : []),
    `THEN stops as early as at most ${maxColdStarts} cold starts a day of each service allow. All numbers are per day, and IDLE GB-HOURS are those without a request under way.`,
    ...(commands.length > 0 ? [["To apply it:", ...commands].join("\n")] : ["No service would sleep better with it."]),
  ].join("\n\n");
}

/** Why no time to stop after can be told for a service. */
function goalCaveat(estimate: ServiceEstimate, failing: ReadonlySet<string>): string | undefined {
  const { minInstances } = estimate;
  if (minInstances > 0) return `its minInstances is ${minInstances}, so its instances do not sleep`;
  return caveatOf(estimate, failing.has(estimate.service));
}

/** Whether the settings that were found keep within the goal where the present ones do not, or save memory. */
function isBetter({ now, then }: ServiceEstimate, maxColdStarts: number, asked: Asked): boolean {
  if (asked.length > 0) return true;
  if (stopText(now) === stopText(then)) return false;
  return now.coldStartsPerDay > maxColdStarts || Number(gbHoursText(then.idleGbHoursPerDay)) < now.idleGbHoursPerDay;
}

function goalTable(known: readonly ServiceEstimate[]): string {
  const sum = (read: (estimate: ServiceEstimate) => number) => known.reduce((sum, one) => sum + read(one), 0);
  const [cold, idle] = [
    ({ coldStartsPerDay }: Outcome) => coldStartsPerDay,
    ({ idleGbHoursPerDay }: Outcome) => idleGbHoursPerDay,
  ];
  const rows = known.map(({ now, service, then }) => [
    ...[service, stopText(now), then === now ? "as now" : stopText(then)],
    ...[now, then].map((outcome) => amountText(cold(outcome))),
    ...[now, then].map((outcome) => gbHoursText(idle(outcome))),
  ]);
  const sums = [
    ...["all", "", ""],
    ...[sum(({ now }) => cold(now)), sum(({ then }) => cold(then))].map(amountText),
    ...[sum(({ now }) => idle(now)), sum(({ then }) => idle(then))].map(gbHoursText),
  ];
  return table(
    ["NAME", "STOP-AFTER", "THEN", "COLD STARTS", "THEN", "IDLE GB-HOURS", "THEN"],
    known.length === 1 ? rows : [...rows, sums],
  );
}
