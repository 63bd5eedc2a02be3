import { DatabaseSync } from "node:sqlite";
import { fillUp } from "../../support/mounts.ts";
import { type Act, type Disruption, expect } from "../disruption.ts";
import { pause } from "../engine.ts";
import { IMAGE } from "../stage.ts";

const requirement = (text: string) => ({
  text: `${text}: 0 requests failed, changes are refused`,
  longestWaitMs: 5000,
});

/** What happens to the data. */
export const STORE: readonly Disruption[] = [
  {
    name: "disk-full",
    planned: false,
    requirement: requirement("the disk of the data-dir is full"),
    needs: ["mount"],
    stage: { disk: "8m" },
    run: diskFull,
  },
  {
    name: "database-locked",
    planned: false,
    requirement: requirement("another process has locked the database for 5 s"),
    run: databaseLocked,
  },
];

async function diskFull(act: Act): Promise<void> {
  const filler = `${act.stage.dataDir}/../filler`;
  fillUp(filler);
  const refused = await untilRefused(act);
  expect(act, "a change while it is full", refused, "503 store_unavailable", refused === "503 store_unavailable");
  await pause(act.quick ? 1000 : 3000);
  await Deno.remove(filler);
  await expectChanges(act);
}

async function databaseLocked(act: Act): Promise<void> {
  {
    using other = new DatabaseSync(`${act.stage.dataDir}/cless.sqlite`);
    other.exec("BEGIN IMMEDIATE");
    const refused = await change(act, 0);
    expect(act, "a change while it is locked", refused, "503 store_unavailable", refused === "503 store_unavailable");
    await pause(act.quick ? 1000 : 5000);
    other.exec("ROLLBACK");
  }
  await expectChanges(act);
}

/** What becomes of a change of the service's domains. */
async function change({ stage }: Act, n: number): Promise<string> {
  const body = { image: IMAGE, env: { GREETING: "other" }, domains: [`name-${n}.example.org`] };
  const answer = await stage.try("PUT", "/v1/services/other", body);
  return answer.status < 300 ? `${answer.status}` : `${answer.status} ${JSON.parse(answer.body).code}`;
}

/** What a change is told that is refused; the database's log has a little room for some before. */
async function untilRefused(act: Act): Promise<string> {
  for (let n = 1; n < 5000; n++) {
    const told = await change(act, n);
    if (told !== "200") return told;
  }
  return "200";
}

async function expectChanges(act: Act): Promise<void> {
  const told = await change(act, 0);
  expect(act, "a change afterwards", told, "200", told === "200");
}
