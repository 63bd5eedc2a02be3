import { messageOf } from "../../../src/base/errors.ts";
import type { NodeProgram } from "../../swarm/node_program.ts";
import { expect } from "../disruption.ts";
import { type SwarmStage, untilSo } from "./stage.ts";

/** Events get lost, so that all is compared every 15 s. */
const AGREED_MS = 40_000;

/** What all cless must say alike of what is declared. */
async function declaredBy(program: NodeProgram): Promise<string> {
  const services: { name: string; etag: string; latestRevision: string; traffic: unknown }[] = await program.api(
    "/v1/services",
  );
  const all = await Promise.all(services.map(async ({ etag, latestRevision, name, traffic }) => {
    const revisions: { name: string }[] = await program.api(`/v1/services/${name}/revisions`);
    return { name, etag, latestRevision, traffic, revisions: revisions.map(({ name }) => name).sort() };
  }));
  return JSON.stringify(all.sort((a, b) => a.name < b.name ? -1 : 1));
}

/** What all cless must say alike of what runs. */
async function instancesBy(program: NodeProgram): Promise<string> {
  const all: { id: string; address: string }[] = await program.api("/v1/instances");
  return JSON.stringify(all.map(({ address, id }) => `${id} ${address}`).sort());
}

/** Holds what the nodes say and have against each other, once nothing is asked of them. */
export async function compareAll(stage: SwarmStage): Promise<void> {
  const { cluster } = stage;
  const programs = cluster.nodes.all.map(({ number }) => cluster.cless(number));
  await expectSo(stage, "all cless declare the same", async () => {
    return new Set(await Promise.all(programs.map(declaredBy))).size === 1;
  }, async () => (await Promise.all(programs.map(declaredBy))).join("\n"));
  await expectSo(stage, "all cless know the same instances", async () => {
    return new Set(await Promise.all(programs.map(instancesBy))).size === 1;
  }, async () => (await Promise.all(programs.map(instancesBy))).join("\n"));
  const known = async () => {
    const instances: { id: string }[] = await programs[0]!.api("/v1/instances");
    return instances.map(({ id }) => id).sort().join(" ");
  };
  await expectSo(stage, "the services of Swarm are those instances", async () => {
    return await servicesOf(stage) === await known();
  }, async () => `${await servicesOf(stage)}, instances ${await known()}`);
  await expectSo(stage, "the containers are those instances", async () => {
    return await containersOf(stage) === await known();
  }, async () => `${await containersOf(stage)}, instances ${await known()}`);
}

/** Deletes what is declared, ends all cless, and looks at what is left. */
export async function endAll(stage: SwarmStage): Promise<void> {
  const { cluster } = stage;
  const programs = cluster.nodes.all.map(({ number }) => cluster.cless(number));
  const [first] = programs;
  for (const { name } of await first!.api("/v1/services") as { name: string }[]) {
    const { status, text } = await first!.send("DELETE", `/v1/services/${name}`);
    if (status !== 204) return expect(stage, `DELETE of ${name}`, `${status} ${text}`, "204", false);
  }
  const left = async () => [await servicesOf(stage), await containersOf(stage)].join(" ").trim();
  await expectSo(stage, "once all is deleted, no service and no container", async () => await left() === "", left);
  await expectSo(stage, "once all is deleted, no revision is stored", async () => {
    return !/-revision-/.test(await configsOf(stage));
  }, () => configsOf(stage));
  const codes = [];
  for (const program of programs) codes.push(await program.end());
  expect(stage, "exit codes of all cless", codes.join(), "0,0,0", codes.every((code) => code === 0));
  const configs = await configsOf(stage);
  const isLeft = /-node-/.test(configs);
  expect(stage, "registrations after the end", isLeft ? configs : "none", "none", !isLeft);
}

async function expectSo(
  stage: SwarmStage,
  what: string,
  isSo: () => Promise<boolean>,
  otherwise: () => Promise<string>,
): Promise<void> {
  const began = performance.now();
  const bar = `within ${AGREED_MS / 1000} s`;
  try {
    await untilSo(stage, what, isSo, AGREED_MS);
    expect(stage, what, `so after ${((performance.now() - began) / 1000).toFixed(1)} s`, bar, true);
  } catch {
    expect(stage, what, await otherwise().catch(messageOf), bar, false);
  }
}

async function servicesOf({ cluster }: SwarmStage): Promise<string> {
  return sorted(await cluster.node(1).docker("service", "ls", "--format", "{{.Name}}"));
}

/** The instances whose containers there are on any node, in whatever state. */
async function containersOf({ cluster }: SwarmStage): Promise<string> {
  const names = await Promise.all(
    cluster.nodes.all.map((node) => node.docker("ps", "--all", "--format", "{{.Names}}")),
  );
  return sorted(names.join("\n").replaceAll(/\.1\.[a-z0-9]+$/gm, ""));
}

async function configsOf({ cluster }: SwarmStage): Promise<string> {
  return sorted(await cluster.node(1).docker("config", "ls", "--format", "{{.Name}}"));
}

function sorted(lines: string): string {
  return lines.split("\n").filter(Boolean).sort().join(" ");
}
