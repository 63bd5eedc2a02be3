import type { Revision } from "../model/revision.ts";
import type { Volume } from "../model/template.ts";
import { environmentOf, FIXED, labelsOf, nanoCpus, type Placement } from "./run_args.ts";

/**
 * What the engine's API is told to make the container that the flags of `docker run` describe. The values of its
 * environment are in it: it must not be logged.
 *
 * https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerCreate
 */
export function createBody(revision: Revision, placement: Placement): Record<string, unknown> {
  const { command, imageId, port } = revision;
  const { address, hostPort, network } = placement;
  const published = `${port}/tcp`;
  return {
    Image: imageId,
    ...(command.length === 0 ? {} : { Cmd: command }),
    Env: Object.entries(environmentOf(revision)).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(revision, placement),
    ...(hostPort === undefined ? {} : { ExposedPorts: { [published]: {} } }),
    HostConfig: {
      NetworkMode: network,
      ...(hostPort === undefined
        ? {}
        : { PortBindings: { [published]: [{ HostIp: "127.0.0.1", HostPort: String(hostPort) }] } }),
      ExtraHosts: [FIXED.extraHost],
      SecurityOpt: [FIXED.securityOpt],
      PidsLimit: FIXED.pidsLimit,
      LogConfig: { Type: FIXED.logDriver, Config: FIXED.logOptions },
      ...limits(revision),
      Mounts: revision.volumes.map(mount),
    },
    NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: address } } } },
  };
}

/** As with the flags, swap counts as memory. */
function limits({ memory, cpus }: Revision): Record<string, unknown> {
  return {
    ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
    ...(cpus === undefined ? {} : { NanoCpus: nanoCpus(cpus) }),
  };
}

/** A folder that is not there is refused, as by `--mount`. */
function mount({ path, readOnly, source }: Volume): Record<string, unknown> {
  return {
    Type: source.startsWith("/") ? "bind" : "volume",
    Source: source,
    Target: path,
    ...(readOnly ? { ReadOnly: true } : {}),
  };
}
