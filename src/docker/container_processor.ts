import type { EngineApi } from "./engine_api.ts";
import { grep } from "./machine.ts";

/**
 * Where the kernel keeps a container's processor time: with control groups of the engine or of systemd, in versions 2
 * and 1. https://docs.docker.com/engine/containers/runmetrics/
 */
const FILES: readonly ((engineId: string) => string)[] = [
  (id) => `/sys/fs/cgroup/system.slice/docker-${id}.scope/cpu.stat`,
  (id) => `/sys/fs/cgroup/docker/${id}/cpu.stat`,
  (id) => `/sys/fs/cgroup/cpuacct/docker/${id}/cpuacct.usage`,
  (id) => `/sys/fs/cgroup/cpuacct/system.slice/docker-${id}.scope/cpuacct.usage`,
];
/** The line of version 2, in microseconds. */
const USAGE = /^usage_usec (\d+)$/;

/** The processor time that a container has used, ns, from the kernel or else from the engine; `undefined` if unknown. */
export async function processorTime(
  api: Pick<EngineApi, "processorTime">,
  engineId: string,
): Promise<number | undefined> {
  const [found] = await grep("^(usage_usec )?[0-9]+$", FILES.map((file) => file(engineId)));
  if (found === undefined) return await api.processorTime(engineId);
  const microseconds = USAGE.exec(found.line)?.[1];
  return microseconds === undefined ? Number(found.line) : 1000 * Number(microseconds);
}
