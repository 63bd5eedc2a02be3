// @ts-check

/** The times after which an idle instance is paused, hibernated and stopped, as places on a slider. */

/** @typedef {{ pauseAfter: string, hibernateAfter: string, stopAfter: string }} IdleSettings */
/** @typedef {keyof IdleSettings} IdleSetting */

/** The settings, as people call them. */
export const TITLES = { pauseAfter: "Pause after", hibernateAfter: "Hibernate after", stopAfter: "Stop after" };

/** What each slider offers; 0 is never. */
export const CHOICES = {
  pauseAfter: ["1s", "2s", "5s", "10s", "15s", "30s", "1m", "2m", "5m", "10m", "15m", "30m", "1h", "2h", "6h", "0"],
  hibernateAfter: [
    "10s",
    "30s",
    "1m",
    "2m",
    "5m",
    "10m",
    "15m",
    "20m",
    "30m",
    "45m",
    "1h",
    "2h",
    "6h",
    "12h",
    "24h",
    "0",
  ],
  stopAfter: [
    ...["1m", "2m", "5m", "10m", "15m", "20m", "30m", "35m", "40m", "45m", "50m", "55m", "1h", "75m", "90m", "2h"],
    ...["3h", "4h", "6h", "8h", "12h", "18h", "24h", "48h", "168h", "336h", "0"],
  ],
};

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A setting in ms; Infinity for never.
 *
 * @param {string} text
 */
export function settingMs(text) {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (count === undefined) return Infinity;
  const ms = Number(count) * UNITS[/** @type {keyof typeof UNITS} */ (unit)];
  return ms === 0 ? Infinity : ms;
}

/**
 * The choices of a slider, with the present setting in its place if it is none of them.
 *
 * @param {IdleSetting} name
 * @param {string} present
 */
export function choicesFor(name, present) {
  const choices = CHOICES[name];
  if (choices.some((choice) => settingMs(choice) === settingMs(present))) return choices;
  return [...choices, present].sort((a, b) => settingMs(a) - settingMs(b) || 0);
}

/**
 * @param {readonly string[]} choices
 * @param {string} setting
 */
export function placeOf(choices, setting) {
  return choices.findIndex((choice) => settingMs(choice) === settingMs(setting));
}

/**
 * A setting in words: `30 s`, `2 h`, `7 days`, `never`.
 *
 * @param {string} setting
 */
export function settingText(setting) {
  const ms = settingMs(setting);
  if (ms === Infinity) return "never";
  if (ms >= 48 * UNITS.h && ms % (24 * UNITS.h) === 0) return `${ms / (24 * UNITS.h)} days`;
  for (const [unit, name] of /** @type {const} */ ([["h", "h"], ["m", "min"], ["s", "s"]])) {
    if (ms >= UNITS[unit] && ms % UNITS[unit] === 0) return `${ms / UNITS[unit]} ${name}`;
  }
  return setting;
}

/**
 * The settings that differ, as a deploy needs them.
 *
 * @param {IdleSettings} before
 * @param {IdleSettings} after
 * @returns {Partial<IdleSettings>}
 */
export function changedSettings(before, after) {
  return Object.fromEntries(
    /** @type {IdleSetting[]} */ (["pauseAfter", "hibernateAfter", "stopAfter"])
      .filter((name) => settingMs(before[name]) !== settingMs(after[name])).map((name) => [name, after[name]]),
  );
}

/**
 * The settings that differ in words: `stop after 12 h → 1 h`.
 *
 * @param {IdleSettings} before
 * @param {IdleSettings} after
 */
export function settingsText(before, after) {
  return /** @type {IdleSetting[]} */ (Object.keys(changedSettings(before, after)))
    .map((name) => `${TITLES[name].toLowerCase()} ${settingText(before[name])} → ${settingText(after[name])}`).join(
      ", ",
    );
}
