import { KNOWN_ROBOTS, ROBOT_KINDS, ROBOTS, ROBOTS_SOURCE } from "../routing/known_robots.ts";
import { table } from "./text.ts";
import { JSON_FLAG, printJson, type Verb } from "./verb.ts";

/** `cless robots`: lists the robots that `known-robots` stands for. It needs no running cless. */
export const robots: Verb = {
  name: "robots",
  summary: `List the robots that ${KNOWN_ROBOTS} stands for`,
  flags: [{ ...JSON_FLAG, help: "Print JSON" }],
  notes: [
    `A request whose User-Agent has one of these tokens is one of ${KNOWN_ROBOTS}, without regard to case: see deploy --wake-except-agent, and --wake-except-robots of cless serve.`,
    `KIND is what it does. ${Object.entries(ROBOT_KINDS).map(([kind, does]) => `${kind}: ${does}`).join(". ")}.`,
    "The list is that of this executable; a running cless uses its own.",
  ],
  example: ["cless robots", "cless deploy shop --wake-except-agent known-robots"],
  run: (call) => {
    const { date, url, version } = ROBOTS_SOURCE;
    if (call.on("json")) printJson({ source: ROBOTS_SOURCE, robots: ROBOTS });
    else {
      console.log(
        table(["TOKEN", "KIND", "OPERATOR"], ROBOTS.map(({ token, kind, operator }) => [token, kind, operator])),
      );
      console.log(`\n${ROBOTS.length} tokens, chosen from ${url}, version ${version} of ${date}`);
    }
    return Promise.resolve();
  },
};
