import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { doctor } from "../../src/cli/doctor.ts";
import { flag } from "../../src/cli/flags.ts";
import { flagHelp, topHelp as helpOf, verbHelp } from "../../src/cli/help.ts";
import { serve } from "../../src/cli/serve.ts";
import { VERB_GROUPS, VERBS } from "../../src/cli/verbs.ts";
import { VERSION } from "../../src/base/version.ts";
import { runMain } from "./run_main.ts";

/** The helps as the program prints them. */
const topHelp = () => helpOf(VERB_GROUPS, serve);
const serveHelp = () => verbHelp(serve);
const doctorHelp = () => verbHelp(doctor);
const HELPS = { topHelp, serveHelp, doctorHelp };

/** Calls a function as if on a terminal with this number of columns. */
function onTerminal<T>(columns: number, call: () => T): T {
  const { consoleSize } = Deno;
  Deno.consoleSize = () => ({ columns, rows: 24 });
  try {
    return call();
  } finally {
    Deno.consoleSize = consoleSize;
  }
}

/** A text without the line breaks that wrapping has made. */
function unwrapped(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

Deno.test("every help lists every flag of serve, with the placeholder of its value", () => {
  for (const help of Object.values(HELPS)) {
    const text = help();
    for (const { name, value } of serve.flags) {
      const label = name === "convention"
        ? "--[no-]convention"
        : value === undefined
        ? `--${name}`
        : `--${name} ${value}`;
      assert(text.split("\n").some((line) => line.startsWith(`  ${label}  `)), `${help.name}: ${label}`);
    }
  }
});

Deno.test("every help says what each flag is for, its default, and whether it can be repeated", () => {
  for (const help of Object.values(HELPS)) {
    const text = unwrapped(help());
    for (const flag of serve.flags) {
      const remarks = [flag.default && `default ${flag.default}`, flag.repeatable && "repeatable"].filter(Boolean);
      assertStringIncludes(text, flag.help + (remarks.length > 0 ? ` (${remarks.join("; ")})` : ""));
    }
  }
});

Deno.test("help groups the flags", () => {
  const text = topHelp();
  for (const group of new Set(serve.flags.map(({ group }) => group))) {
    assertEquals(text.split("\n").filter((line) => line === `${group}:`).length, 1, group);
  }
});

Deno.test("help says how to set a flag by a variable, how durations are written, and shows an example", () => {
  for (const help of [topHelp, serveHelp]) {
    const text = unwrapped(help());
    assertStringIncludes(text, "--stop-after is CLESS_STOP_AFTER; a flag wins");
    assertStringIncludes(text, "Durations are written 250ms, 30s, 5m or 1h; 0 means never.");
    assertStringIncludes(text, "Example: docker build -t golang-docker images/golang cless --listen 127.0.0.1:8080");
  }
  assertStringIncludes(topHelp(), VERSION);
  assertStringIncludes(unwrapped(doctorHelp()), "Exit code 1 if something would not work.");
});

Deno.test("help fits terminals from 60 columns, and uses 100 at most", () => {
  for (const [columns, most] of [[20, 60], [60, 60], [61, 61], [72, 72], [80, 80], [100, 100], [200, 100]] as const) {
    for (const [name, help] of Object.entries(HELPS)) {
      for (const line of onTerminal(columns, help).split("\n")) {
        assert(line.length <= most, `${name} on ${columns} columns: ${line}`);
      }
    }
  }
});

Deno.test("help uses the width of the terminal", () => {
  for (const help of Object.values(HELPS)) {
    const lines = [60, 80, 100].map((columns) => onTerminal(columns, help).split("\n").length);
    assert(lines[0]! > lines[1]! && lines[1]! > lines[2]!, lines.join(" "));
  }
});

Deno.test("help ends no line with spaces, and keeps each flag's text in its column", () => {
  const lines = onTerminal(60, () => flagHelp(serve.flags));
  assertEquals(lines.filter((line) => line.endsWith(" ")), []);
  const column = lines.find((line) => line.includes("  Where requests for services"))!.indexOf("Where requests");
  for (const line of lines.filter((line) => line.startsWith(" "))) {
    assert(line[column] !== " " && line[column - 1] === " ", line);
  }
});

Deno.test("flags without a group have no heading", () => {
  assertEquals(
    flagHelp([flag("--json", "Print JSON"), flag("--n N = 3", "How many")]),
    [
      "  --json  Print JSON",
      "  --n N   How many (default 3)",
    ],
  );
});

Deno.test("the help of the program lists every verb with what it does", () => {
  const text = unwrapped(topHelp());
  for (const { name, summary } of VERBS) assertStringIncludes(text, ` ${name} ${summary} `);
  const lines = onTerminal(100, topHelp).split("\n");
  for (const { name, summary } of VERBS) {
    assert(lines.some((line) => line.startsWith(`  ${name} `) && line.endsWith(`  ${summary}`)), name);
  }
});

Deno.test("the help of every verb shows its usage, its flags and an example, and fits the terminal", async () => {
  for (const { name, flags, summary } of VERBS) {
    const { code, err, out } = await runMain(name, "--help");
    assertEquals([code, err], [0, ""], name);
    assert(out.startsWith(`Usage: cless ${name} `), name);
    for (const flag of flags) assertStringIncludes(unwrapped(out), flag.help, name);
    assertStringIncludes(unwrapped(out), `${summary}. `);
    assertStringIncludes(out, "\nExample:\n  ");
    assertEquals(out.split("\n").filter((line) => line.length > 80 || line.endsWith(" ")), [], name);
    assertEquals(await runMain("help", name), { code, err, out });
  }
});

Deno.test("no verb has two flags with the same name or letter", () => {
  for (const { name, flags } of VERBS) {
    const names = [...flags.map((flag) => flag.name), ...flags.flatMap(({ short }) => short ?? []), "help", "h"];
    assertEquals(names.length, new Set(names).size, name);
  }
});
