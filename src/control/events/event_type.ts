/** What has happened to a service, a revision or an instance. */
export type EventType =
  | "service.created"
  | "service.changed"
  | "service.deleted"
  | "revision.pulling"
  | "revision.starting"
  | "revision.ready"
  | "revision.failed"
  | "revision.deleted"
  | "traffic.changed"
  | "instance.starting"
  | "instance.ready"
  | "instance.paused"
  | "instance.draining"
  | "instance.stopped"
  | "instance.failed"
  | "stats";
