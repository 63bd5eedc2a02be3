import type { Fleet } from "../../fleet/fleet.ts";
import type { InstanceState } from "../../model/instance_state.ts";
import type { ServiceMap } from "../../routing/service_map.ts";
import type { ServiceStatus, ServiceStatuses } from "../service_status.ts";
import type { Statistics } from "../statistics.ts";
import type { HourOfService, LastHour } from "./last_hour.ts";
import type { RecentRequests, RequestCounts } from "./request_counts.ts";
import type { UsageMeter } from "./usage_meter.ts";

/** What a service is doing now, and was doing in the last minutes. */
export interface ServiceActivity extends ServiceStatus, RecentRequests, HourOfService {
  readonly service: string;
  /** How many requests its instances serve now. */
  readonly inFlight: number;
  /** How many requests wait for an instance or a slot. */
  readonly waiting: number;
  /** How many instances are in each state. States without instances are left out. */
  readonly instances: Readonly<Partial<Record<InstanceState, number>>>;
  /** What its instances use now. */
  readonly memoryBytes: number;
  readonly swapBytes: number;
  /** What one of its instances takes while it is awake; 0 if it is not known. */
  readonly awakeBytes: number;
}

/** What {@linkcode Activity} works with. */
export interface ActivityOptions {
  readonly services: Pick<ServiceMap, "names">;
  readonly statuses: Pick<ServiceStatuses, "of">;
  readonly fleet: Pick<Fleet, "instances">;
  readonly statistics: Pick<Statistics, "pools">;
  readonly meter: Pick<UsageMeter, "costs">;
  readonly requests: Pick<RequestCounts, "recent">;
  readonly lastHour: Pick<LastHour, "read">;
}

/** How busy services are. */
export class Activity {
  readonly #options: ActivityOptions;

  constructor(options: ActivityOptions) {
    this.#options = options;
  }

  /**
   * All services, by name; undeclared ones only once they have been used. Asks the engine at most once a second, for
   * all who look.
   *
   * @param minutes How many entries `perMinute` has; 60 at most.
   */
  async now(minutes: number): Promise<ServiceActivity[]> {
    const { fleet, lastHour, meter, requests, services, statistics, statuses } = this.#options;
    const costs = await meter.costs([...services.names()]);
    const instances = Map.groupBy(fleet.instances(), ({ revision }) => revision.service);
    const pools = Map.groupBy(statistics.pools(), ({ revision }) => revision.service);
    const hourOf = lastHour.read(minutes);
    return [...services.names()].sort().map((service) => {
      const own = instances.get(service) ?? [];
      const { awakeBytes = 0, memoryBytes = 0, swapBytes = 0 } = costs.get(service) ?? {};
      const counts: Partial<Record<InstanceState, number>> = {};
      for (const { state } of own) counts[state] = (counts[state] ?? 0) + 1;
      return {
        service,
        ...statuses.of(service),
        ...requests.recent(service),
        ...hourOf(service),
        inFlight: own.reduce((sum, { requests }) => sum + requests, 0),
        waiting: pools.get(service)?.reduce((sum, { waiting }) => sum + waiting, 0) ?? 0,
        instances: counts,
        memoryBytes,
        swapBytes,
        awakeBytes,
      };
    });
  }
}
