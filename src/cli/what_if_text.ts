import type { WhatIfJson } from "../admin/operations/what_if.ts";

/** Settings to estimate, as `cless deploy` takes them. */
export type Asked = readonly { readonly flag: string; readonly value: string }[];

/** What a service would cost with some settings. */
export type Outcome = WhatIfJson["now"];

/** The estimate of a service. */
export type ServiceEstimate = WhatIfJson & { readonly service: string };

/** With fewer times without a request, an estimate tells little. */
const FEW_GAPS = 5;

/** What to know before the figures of a service are read; `undefined` if there is nothing. */
export function caveatOf(
  { days, gaps }: Pick<WhatIfJson, "days" | "gaps">,
  isFailing: boolean,
): string | undefined {
  if (isFailing) return "failing; its figures say nothing about use";
  if (days === 0) return "no request has been counted yet";
  const count = gapCount(gaps);
  return count < FEW_GAPS ? `only ${gapsText(count)} without a request; too few to tell much` : undefined;
}

/** How many gaps there were. */
export function gapCount(gaps: WhatIfJson["gaps"]): number {
  return gaps.reduce((sum, gap) => sum + gap.count, 0);
}

/** `121 times`. */
export function gapsText(count: number): string {
  return count === 1 ? "1 time" : `${count} times`;
}

/** Settings as flags, each with a space before it. */
export function flagsText(asked: Asked): string {
  return asked.map(({ flag, value }) => ` --${flag} ${value}`).join("");
}

/** When instances stop, also those that hibernate if that is another time. */
export function stopText({ stopAfter, stopHibernatedAfter }: Outcome): string {
  return stopAfter === stopHibernatedAfter
    ? settingText(stopAfter)
    : `${settingText(stopAfter)}, hibernated ${settingText(stopHibernatedAfter)}`;
}

/** A duration of a setting. */
export function settingText(duration: string): string {
  return duration === "0" ? "never" : duration;
}

/** A number of starts, wakes or days: two digits are as many as an estimate has. */
export function amountText(amount: number): string {
  return String(amount >= 10 ? Math.round(amount) : Number(amount.toPrecision(2)));
}

/** GB-hours, with three digits, so that two estimates can be compared. */
export function gbHoursText(amount: number): string {
  return String(amount >= 100 ? Math.round(amount) : Number(amount.toPrecision(3)));
}
