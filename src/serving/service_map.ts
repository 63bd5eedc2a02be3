import type { Service } from "./service.ts";

/** The services by the label that names them. */
export class ServiceMap {
  readonly #byLabel = new Map<string, Service>();

  /** The service of a label. */
  get(label: string): Service | undefined {
    return this.#byLabel.get(label);
  }

  /** Adds a service under its name. */
  add(service: Service): void {
    this.#byLabel.set(service.name, service);
  }

  /** Takes a service out: from now on its hostname is unknown. */
  delete(service: Service): void {
    this.#byLabel.delete(service.name);
  }

  /** Every service, by name. */
  list(): Service[] {
    return [...this.#byLabel.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  }
}
