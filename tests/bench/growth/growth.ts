import { ClessUnderTest } from "../support/cless_under_test.ts";
import { residentMb } from "../support/process.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { declareServices, nameOf } from "./declared.ts";
import { deployTimes } from "./deploys.ts";
import { PAGE, pageTimes } from "./listing.ts";
import { type Folders, Pair, type Side, sidesOf, type Start } from "./pair.ts";
import { type Growth, growthFindings } from "./report.ts";
import { requestCosts } from "./requests.ts";

/** What many services cost beside one. */
export async function growth(bench: Bench): Promise<Outcome> {
  const { app, docker, folder, note, options: { rounds, manyServices: count }, signal } = bench;
  const numbers = Array.from({ length: count }, (_, number) => number);
  const middle = Math.floor(count / 2);
  const folders: Folders & { readonly page: string } = {
    one: `${folder}/one`,
    many: `${folder}/many`,
    page: `${folder}/page`,
  };
  const real = new Set([middle]);
  note(`declaring ${count} services`);
  await declareServices(folders.one, [middle], { app, real });
  await declareServices(folders.many, numbers, { app, real });
  await declareServices(folders.page, numbers.slice(0, PAGE), { app, real });
  const starts: Record<Side, Start>[] = [];
  // The last round's stay for what follows.
  for (let round = 0; round < rounds - 1; round++) {
    await using pair = await Pair.start({ docker, signal }, folders, sidesOf(round));
    starts.push(pair.starts);
    noteStart(pair.starts, note);
  }
  await using pair = await Pair.start({ docker, signal }, folders, sidesOf(rounds - 1));
  starts.push(pair.starts);
  noteStart(pair.starts, note);
  const deployed = { name: nameOf(middle), image: app.image };
  note("deploying without containers");
  const deploys = await deployTimes(pair, { ...deployed, count: 10 * rounds, wait: false }, signal);
  const requests = await requestCosts(pair, `${deployed.name}.localhost`, bench);
  const loadedMb = { one: await residentMb(pair.one.program.pid), many: await residentMb(pair.many.program.pid) };
  // Only one of the two lists services: what that leaves on its heap must not be there when requests are measured.
  note("listing");
  const pages = await listed(bench, pair.many, folders.page, numbers.map(nameOf));
  note("deploying");
  const deploysWithStart = await deployTimes(pair, { ...deployed, count: 3 * rounds, wait: true }, signal);
  const measured: Growth = { count, starts, requests, loadedMb, deploys, deploysWithStart, pages };
  return { findings: growthFindings(measured) };
}

async function listed(
  { docker, options: { rounds }, signal }: Bench,
  many: ClessUnderTest,
  folder: string,
  names: readonly string[],
) {
  await using small = await ClessUnderTest.start(docker, folder, signal);
  return await pageTimes(small, many, { count: 20 * rounds, names }, signal);
}

function noteStart({ many, one }: Readonly<Record<Side, Start>>, note: (line: string) => void): void {
  const text = ({ idleMb, startMs }: Start) => `${startMs.toFixed(0)} ms, ${idleMb.toFixed(1)} MB`;
  note(`started with 1: ${text(one)}; with many: ${text(many)}`);
}
